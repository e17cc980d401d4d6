"""Administer a Postillon server from a Python program.

    from postillon.client import AccountToMake, Client

    with Client("https://mail.example.org", key="…") as client:
        made = client.create_account(AccountToMake(login="bob@example.org", generate=True))
        print(made.password)

Each operation of the API (/api/v1/openapi.json) is a method with its name and types. What the server
refuses is raised as `ApiError`, with what is wrong and what to do.
"""

from postillon.admin.accounts import AccountChange
from postillon.admin.domains import DomainChange
from postillon.client.connection import ApiError
from postillon.client.operations import Client
from postillon.queue.verbs import Verb
from postillon.server.api.accounts import (
    AccountToMake,
    AddressToAdd,
    NewLogin,
    PasswordToSet,
    ShareToSet,
)
from postillon.server.api.domains import DomainToMake
from postillon.server.api.lists import AliasChange, AliasToMake, GroupChange, GroupToMake
from postillon.server.api.logins import ToForgive
from postillon.server.api.queue import QueueOrder
from postillon.server.api.server import MessageToSend
from postillon.server.api.signing_in import ApiKeyToMake, AppPasswordToMake

__all__ = [
    "AccountChange",
    "AccountToMake",
    "AddressToAdd",
    "AliasChange",
    "AliasToMake",
    "ApiError",
    "ApiKeyToMake",
    "AppPasswordToMake",
    "Client",
    "DomainChange",
    "DomainToMake",
    "GroupChange",
    "GroupToMake",
    "MessageToSend",
    "NewLogin",
    "PasswordToSet",
    "QueueOrder",
    "ShareToSet",
    "ToForgive",
    "Verb",
]
