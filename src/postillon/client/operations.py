"""The operations of the API as methods: made by `postillon.server.api.client_source`."""

from __future__ import annotations

from types import NoneType

from postillon.admin.accounts import AccountChange, AccountView, Removed
from postillon.admin.audit import Act
from postillon.admin.domains import DomainChange, DomainView
from postillon.admin.lists import AliasView, GroupView
from postillon.admin.logins import Forgiven, SignInView, Slowed
from postillon.admin.queue_views import Overview, Page, QueuedStory
from postillon.admin.routing import Route
from postillon.admin.sharing import ShareView
from postillon.admin.signing_in import (
    ApiKeyView,
    AppPasswordView,
    MadeApiKey,
    MadeAppPassword,
    SecondFactorView,
)
from postillon.admin.tracing import Story
from postillon.client.connection import Connection
from postillon.queue.selection import Standing
from postillon.server.activity import Minute
from postillon.server.api.accounts import (
    AccountMade,
    AccountToMake,
    AddressToAdd,
    NewLogin,
    PasswordToSet,
    ShareToSet,
)
from postillon.server.api.domains import DomainToMake
from postillon.server.api.lists import AliasChange, AliasToMake, GroupChange, GroupToMake
from postillon.server.api.logins import ToForgive
from postillon.server.api.messages import ServiceView
from postillon.server.api.queue import Destinations, Outcome, QueueOrder
from postillon.server.api.server import MessageToSend, Sent, ServerView, SettingView
from postillon.server.api.signing_in import ApiKeyToMake, AppPasswordToMake, SignedOut
from postillon.server.doctor import Health
from postillon.server.limits import Limits
from postillon.server.published import Checked


class Client(Connection):
    """All operations of the API. Each raises ApiError where it is refused."""

    def get_server(self) -> ServerView:
        """Who this server is."""
        return self.call("GET", "/server", ServerView)

    def get_health(self) -> Health:
        """What is wrong or will be, each with its remedy: machine, queue, DNS of domains."""
        return self.call("GET", "/server/health", Health)

    def list_settings(self) -> list[SettingView]:
        """Every setting and limit that is in force, with its default and what it is good for."""
        return self.call("GET", "/server/settings", list[SettingView])

    def list_activity(self, *, minutes: int = 60) -> list[Minute]:
        """What was accepted, delivered, deferred and refused in each of the last minutes."""
        return self.call("GET", "/server/activity", list[Minute], query={"minutes": minutes})

    def get_limits(self) -> Limits:
        """The limits that hold, what is in use of them, and accounts near the end of their quota."""
        return self.call("GET", "/server/limits", Limits)

    def list_acts(self, *, about: str = "", before: int = 0, limit: int = 100) -> list[Act]:
        """What administrators have done, newest first; the next page is `before` the last id here."""
        return self.call(
            "GET", "/audit", list[Act], query={"about": about, "before": before, "limit": limit}
        )

    def send_test_message(self, body: MessageToSend) -> Sent:
        """Send a short message, to see that mail arrives here or elsewhere."""
        return self.call("POST", "/server/test-message", Sent, body=body)

    def list_domains(self) -> list[DomainView]:
        """All domains by name."""
        return self.call("GET", "/domains", list[DomainView])

    def create_domain(self, body: DomainToMake) -> DomainView:
        """Answer for a domain from now on."""
        return self.call("POST", "/domains", DomainView, body=body)

    def get_domain(self, name: str) -> DomainView:
        """One domain."""
        return self.call("GET", "/domains/{name}", DomainView, names={"name": name})

    def change_domain(self, name: str, body: DomainChange) -> DomainView:
        """Change what is given; "" removes a next hop or a catch-all."""
        return self.call("PATCH", "/domains/{name}", DomainView, names={"name": name}, body=body)

    def remove_domain(self, name: str) -> None:
        """Remove a domain that has no addresses any more."""
        self.call("DELETE", "/domains/{name}", NoneType, names={"name": name})

    def check_dns(self, name: str, *, fresh: bool = False) -> list[Checked]:
        """The records to publish for a domain, each looked up now."""
        return self.call(
            "GET",
            "/domains/{name}/dns",
            list[Checked],
            names={"name": name},
            query={"fresh": fresh},
        )

    def list_accounts(
        self, *, domain: str = "", text: str = "", after: str = "", limit: int = 100
    ) -> list[AccountView]:
        """Accounts by login, in pages."""
        return self.call(
            "GET",
            "/accounts",
            list[AccountView],
            query={"domain": domain, "text": text, "after": after, "limit": limit},
        )

    def create_account(self, body: AccountToMake) -> AccountMade:
        """Make an account; its login is its first address."""
        return self.call("POST", "/accounts", AccountMade, body=body)

    def get_account(self, login: str) -> AccountView:
        """One account."""
        return self.call("GET", "/accounts/{login}", AccountView, names={"login": login})

    def change_account(self, login: str, body: AccountChange) -> AccountView:
        """Change what is given. A quota of 0 is no limit."""
        return self.call(
            "PATCH", "/accounts/{login}", AccountView, names={"login": login}, body=body
        )

    def remove_account(self, login: str) -> Removed:
        """Remove an account with all its mail. This cannot be undone."""
        return self.call("DELETE", "/accounts/{login}", Removed, names={"login": login})

    def set_password(self, login: str, body: PasswordToSet) -> AccountMade:
        """Give an account another password."""
        return self.call(
            "PUT", "/accounts/{login}/password", AccountMade, names={"login": login}, body=body
        )

    def rename_account(self, login: str, body: NewLogin) -> AccountView:
        """Give an account another primary address; the old one stays its own."""
        return self.call(
            "POST", "/accounts/{login}/rename", AccountView, names={"login": login}, body=body
        )

    def add_address(self, login: str, body: AddressToAdd) -> AccountView:
        """Give an account one more address."""
        return self.call(
            "POST", "/accounts/{login}/addresses", AccountView, names={"login": login}, body=body
        )

    def remove_address(self, login: str, address: str) -> AccountView:
        """Take an additional address away from an account."""
        return self.call(
            "DELETE",
            "/accounts/{login}/addresses/{address}",
            AccountView,
            names={"login": login, "address": address},
        )

    def list_shares(self, login: str) -> list[ShareView]:
        """Who else may use which mailboxes of an account."""
        return self.call("GET", "/accounts/{login}/shares", list[ShareView], names={"login": login})

    def set_share(self, login: str, body: ShareToSet) -> list[ShareView]:
        """Let somebody use a mailbox; returns all that the account shares then."""
        return self.call(
            "POST", "/accounts/{login}/shares", list[ShareView], names={"login": login}, body=body
        )

    def list_app_passwords(self, login: str) -> list[AppPasswordView]:
        """App passwords of an account, with when each was used last."""
        return self.call(
            "GET", "/accounts/{login}/app-passwords", list[AppPasswordView], names={"login": login}
        )

    def create_app_password(self, login: str, body: AppPasswordToMake) -> MadeAppPassword:
        """Make an app password; it is shown this once."""
        return self.call(
            "POST",
            "/accounts/{login}/app-passwords",
            MadeAppPassword,
            names={"login": login},
            body=body,
        )

    def remove_app_password(self, login: str, number: int) -> None:
        """Revoke an app password."""
        self.call(
            "DELETE",
            "/accounts/{login}/app-passwords/{number}",
            NoneType,
            names={"login": login, "number": str(number)},
        )

    def get_second_factor(self, login: str) -> SecondFactorView:
        """Whether an account has a second factor, and how many sessions are open."""
        return self.call(
            "GET", "/accounts/{login}/second-factor", SecondFactorView, names={"login": login}
        )

    def remove_second_factor(self, login: str) -> SecondFactorView:
        """Switch the second factor off, for who has lost it."""
        return self.call(
            "DELETE", "/accounts/{login}/second-factor", SecondFactorView, names={"login": login}
        )

    def sign_out(self, login: str) -> SignedOut:
        """End all sessions of an account: the web client's and those of programs it has let in."""
        return self.call("POST", "/accounts/{login}/sign-out", SignedOut, names={"login": login})

    def list_api_keys(self) -> list[ApiKeyView]:
        """Keys of this API by name, with when each was used last."""
        return self.call("GET", "/api-keys", list[ApiKeyView])

    def create_api_key(self, body: ApiKeyToMake) -> MadeApiKey:
        """Make a key; it is shown this once."""
        return self.call("POST", "/api-keys", MadeApiKey, body=body)

    def remove_api_key(self, name: str) -> ApiKeyView:
        """Revoke a key."""
        return self.call("DELETE", "/api-keys/{name}", ApiKeyView, names={"name": name})

    def list_sign_ins(
        self, *, about: str = "", failed: bool = False, before: int = 0, limit: int = 100
    ) -> list[SignInView]:
        """Who has tried to sign in and what came of it, newest first."""
        return self.call(
            "GET",
            "/logins",
            list[SignInView],
            query={"about": about, "failed": failed, "before": before, "limit": limit},
        )

    def list_slowed(self, *, limit: int = 100) -> Slowed:
        """Which networks and logins are made to wait or turned away now, and until when."""
        return self.call("GET", "/logins/slowed", Slowed, query={"limit": limit})

    def forgive_login(self, body: ToForgive) -> Forgiven:
        """Let a network or a login in again, at every worker; `dry_run` only says what that does."""
        return self.call("POST", "/logins/forgive", Forgiven, body=body)

    def list_aliases(self, *, domain: str | None = None) -> list[AliasView]:
        """Aliases by address, of a domain or of all."""
        return self.call("GET", "/aliases", list[AliasView], query={"domain": domain})

    def create_alias(self, body: AliasToMake) -> AliasView:
        """Let an address lead to others."""
        return self.call("POST", "/aliases", AliasView, body=body)

    def get_alias(self, address: str) -> AliasView:
        """One alias."""
        return self.call("GET", "/aliases/{address}", AliasView, names={"address": address})

    def change_alias(self, address: str, body: AliasChange) -> AliasView:
        """Add and remove targets; at least one stays."""
        return self.call(
            "PATCH", "/aliases/{address}", AliasView, names={"address": address}, body=body
        )

    def remove_alias(self, address: str) -> Removed:
        """Remove an alias."""
        return self.call("DELETE", "/aliases/{address}", Removed, names={"address": address})

    def list_groups(self) -> list[GroupView]:
        """Groups by address."""
        return self.call("GET", "/groups", list[GroupView])

    def create_group(self, body: GroupToMake) -> GroupView:
        """Make a group: an address that leads to its members, and a holder of rights."""
        return self.call("POST", "/groups", GroupView, body=body)

    def get_group(self, address: str) -> GroupView:
        """One group."""
        return self.call("GET", "/groups/{address}", GroupView, names={"address": address})

    def change_group(self, address: str, body: GroupChange) -> GroupView:
        """Change members, name, or whether it takes mail."""
        return self.call(
            "PATCH", "/groups/{address}", GroupView, names={"address": address}, body=body
        )

    def remove_group(self, address: str) -> Removed:
        """Remove a group; its members stay."""
        return self.call("DELETE", "/groups/{address}", Removed, names={"address": address})

    def get_queue(self) -> Overview:
        """What waits, which destinations are down, what is held, which alerts go on."""
        return self.call("GET", "/queue", Overview)

    def list_destinations(self, *, limit: int = 100) -> Destinations:
        """Every destination mail waits for: its servers, whether they answer, their last words."""
        return self.call("GET", "/queue/destinations", Destinations, query={"limit": limit})

    def list_queued(
        self,
        *,
        about: str = "",
        ids: tuple[str, ...] = (),
        sender: str = "",
        recipient: str = "",
        domain: str = "",
        destination: str = "",
        older: str = "",
        younger: str = "",
        larger: int | None = None,
        smaller: int | None = None,
        state: Standing | None = None,
        status: str = "",
        text: str = "",
        limit: int = 100,
    ) -> Page:
        """Messages that wait, oldest first. `about` is an address, a domain or a next hop, anywhere."""
        return self.call(
            "GET",
            "/queue/messages",
            Page,
            query={
                "about": about,
                "ids": ids,
                "sender": sender,
                "recipient": recipient,
                "domain": domain,
                "destination": destination,
                "older": older,
                "younger": younger,
                "larger": larger,
                "smaller": smaller,
                "state": state,
                "status": status,
                "text": text,
                "limit": limit,
            },
        )

    def get_queued(self, id: str) -> QueuedStory:
        """One message: what each recipient waits for, until when, and all tries."""
        return self.call("GET", "/queue/messages/{id}", QueuedStory, names={"id": id})

    def order_queue(self, body: QueueOrder) -> Outcome:
        """Hold, release, retry, reroute, expire, bounce or drop mail; `dry_run` only says what."""
        return self.call("POST", "/queue/orders", Outcome, body=body)

    def find_traces(self, *, about: str, limit: int = 20) -> list[Story]:
        """The story of a queue id, or of the latest with a part of an address or Message-ID."""
        return self.call("GET", "/traces", list[Story], query={"about": about, "limit": limit})

    def explain(self, *, from_: str, to: str) -> Route:
        """Every step of how a message would travel; nothing is sent."""
        return self.call("GET", "/explain", Route, query={"from": from_, "to": to})

    def list_services(self) -> list[ServiceView]:
        """What clients can connect to, best first."""
        return self.call("GET", "/services", list[ServiceView])
