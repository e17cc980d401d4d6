"""What the pages of signing in say, in English, French and German."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Templates with {name} placeholders; what goes into them is escaped by the page."""

    sign_in: str
    sign_in_to: str  # {server}
    for_client: str  # {client}
    login: str
    password: str
    code_title: str
    code_why: str
    code: str
    go_on: str
    wrong: str
    wrong_code: str
    later: str
    again: str
    consent_title: str  # {client}
    consent_who: str  # {login}
    consent_can: str
    scope_mail: str
    scope_send: str
    scope_account: str
    scope_admin: str
    unvouched: str  # {client}
    goes_to: str  # {place}
    goes_here: str
    revocable: str
    allow: str
    refuse: str
    somebody_else: str
    device_title: str
    device_why: str
    device_code: str
    device_wrong: str
    device_check: str  # {code}
    done_title: str
    done_allowed: str  # {client}
    done_refused: str
    problem_title: str
    problem_client: str
    problem_redirect: str
    problem_private: str
    problem_request: str


ENGLISH = Words(
    sign_in="Sign in",
    sign_in_to="Sign in to {server}",
    for_client="to let {client} use your account",
    login="Email address",
    password="Password",
    code_title="Second step",
    code_why="Type the six digits that your authenticator app shows now, or one of your recovery"
    " codes.",
    code="Code",
    go_on="Continue",
    wrong="The address or the password is wrong.",
    wrong_code="The code is wrong, or was used before. Wait for the next one.",
    later="Too many tries have failed. Please try again in a few minutes.",
    again="The page was open for too long. Please try again.",
    consent_title="Let {client} use your account?",
    consent_who="You are signed in as {login}.",
    consent_can="It will be able to:",
    scope_mail="read, change and delete your mail",
    scope_send="send mail in your name",
    scope_account="change your settings, passwords and the devices that are signed in",
    scope_admin="administer this server: all domains, accounts and mail on their way",
    unvouched="This program calls itself {client}. The name cannot be checked: go on only if you have"
    " just started this yourself.",
    goes_to="After that you return to {place}.",
    goes_here="After that you return to a program on this device.",
    revocable="You can take this back at any time in your settings.",
    allow="Allow",
    refuse="Do not allow",
    somebody_else="Sign in as somebody else",
    device_title="Connect a device",
    device_why="Type the code that your device shows.",
    device_code="Code of the device",
    device_wrong="There is no such code, or it is no longer good.",
    device_check="Go on only if your own device shows the code {code}, and nobody has sent it to you.",
    done_title="Done",
    done_allowed="{client} can use your account now. You can close this page.",
    done_refused="The device was not let in. You can close this page.",
    problem_title="This does not work",
    problem_client="The program that sent you here is not known to this server.",
    problem_redirect="The program that sent you here wants your answer at an address it has not"
    " registered. Perhaps somebody is trying to trick you.",
    problem_private="Passwords are only taken over HTTPS.",
    problem_request="The request is malformed.",
)

FRENCH = Words(
    sign_in="Se connecter",
    sign_in_to="Connexion à {server}",
    for_client="pour autoriser {client} à utiliser votre compte",
    login="Adresse électronique",
    password="Mot de passe",
    code_title="Deuxième étape",
    code_why="Saisissez les six chiffres affichés par votre application d’authentification,"
    " ou l’un de vos codes de secours.",
    code="Code",
    go_on="Continuer",
    wrong="L’adresse ou le mot de passe est incorrect.",
    wrong_code="Le code est incorrect ou a déjà servi. Attendez le suivant.",
    later="Trop d’essais ont échoué. Veuillez réessayer dans quelques minutes.",
    again="La page est restée ouverte trop longtemps. Veuillez réessayer.",
    consent_title="Autoriser {client} à utiliser votre compte ?",
    consent_who="Vous êtes connecté en tant que {login}.",
    consent_can="Ce programme pourra :",
    scope_mail="lire, modifier et supprimer votre courrier",
    scope_send="envoyer du courrier en votre nom",
    scope_account="modifier vos réglages, vos mots de passe et les appareils connectés",
    scope_admin="administrer ce serveur : domaines, comptes et courrier en transit",
    unvouched="Ce programme dit s’appeler {client}. Ce nom ne peut pas être vérifié : continuez"
    " seulement si vous venez de lancer cette demande vous-même.",
    goes_to="Vous reviendrez ensuite à {place}.",
    goes_here="Vous reviendrez ensuite à un programme de cet appareil.",
    revocable="Vous pouvez retirer cette autorisation à tout moment dans vos réglages.",
    allow="Autoriser",
    refuse="Refuser",
    somebody_else="Se connecter avec un autre compte",
    device_title="Connecter un appareil",
    device_why="Saisissez le code affiché par votre appareil.",
    device_code="Code de l’appareil",
    device_wrong="Ce code n’existe pas ou n’est plus valable.",
    device_check="Continuez seulement si votre propre appareil affiche le code {code} et que personne"
    " ne vous l’a envoyé.",
    done_title="C’est fait",
    done_allowed="{client} peut maintenant utiliser votre compte. Vous pouvez fermer cette page.",
    done_refused="L’appareil n’a pas été autorisé. Vous pouvez fermer cette page.",
    problem_title="Impossible de continuer",
    problem_client="Le programme qui vous envoie ici n’est pas connu de ce serveur.",
    problem_redirect="Le programme qui vous envoie ici attend votre réponse à une adresse qu’il n’a"
    " pas enregistrée. Quelqu’un essaie peut-être de vous tromper.",
    problem_private="Les mots de passe ne sont acceptés qu’en HTTPS.",
    problem_request="La demande est mal formée.",
)

GERMAN = Words(
    sign_in="Anmelden",
    sign_in_to="Anmelden bei {server}",
    for_client="damit {client} Ihr Konto benutzen darf",
    login="E-Mail-Adresse",
    password="Passwort",
    code_title="Zweiter Schritt",
    code_why="Geben Sie die sechs Ziffern ein, die Ihre Authenticator-App jetzt zeigt, oder einen"
    " Ihrer Wiederherstellungscodes.",
    code="Code",
    go_on="Weiter",
    wrong="Die Adresse oder das Passwort ist falsch.",
    wrong_code="Der Code ist falsch oder wurde schon benutzt. Warten Sie auf den nächsten.",
    later="Zu viele Versuche sind gescheitert. Bitte versuchen Sie es in ein paar Minuten wieder.",
    again="Die Seite war zu lange offen. Bitte versuchen Sie es noch einmal.",
    consent_title="Darf {client} Ihr Konto benutzen?",
    consent_who="Sie sind angemeldet als {login}.",
    consent_can="Das Programm darf dann:",
    scope_mail="Ihre E-Mails lesen, ändern und löschen",
    scope_send="in Ihrem Namen E-Mails senden",
    scope_account="Ihre Einstellungen, Passwörter und angemeldeten Geräte ändern",
    scope_admin="diesen Server verwalten: alle Domains, Konten und Nachrichten unterwegs",
    unvouched="Das Programm nennt sich {client}. Der Name lässt sich nicht prüfen: Fahren Sie nur"
    " fort, wenn Sie das gerade selbst begonnen haben.",
    goes_to="Danach kehren Sie zu {place} zurück.",
    goes_here="Danach kehren Sie zu einem Programm auf diesem Gerät zurück.",
    revocable="Sie können das jederzeit in Ihren Einstellungen zurücknehmen.",
    allow="Erlauben",
    refuse="Nicht erlauben",
    somebody_else="Als jemand anderes anmelden",
    device_title="Ein Gerät verbinden",
    device_why="Geben Sie den Code ein, den Ihr Gerät zeigt.",
    device_code="Code des Geräts",
    device_wrong="Diesen Code gibt es nicht, oder er gilt nicht mehr.",
    device_check="Fahren Sie nur fort, wenn Ihr eigenes Gerät den Code {code} zeigt und ihn Ihnen"
    " niemand geschickt hat.",
    done_title="Fertig",
    done_allowed="{client} darf Ihr Konto jetzt benutzen. Sie können diese Seite schließen.",
    done_refused="Das Gerät wurde nicht zugelassen. Sie können diese Seite schließen.",
    problem_title="Das geht so nicht",
    problem_client="Das Programm, das Sie hierher geschickt hat, ist diesem Server nicht bekannt.",
    problem_redirect="Das Programm, das Sie hierher geschickt hat, erwartet die Antwort an einer"
    " Adresse, die es nicht angemeldet hat. Vielleicht will Sie jemand täuschen.",
    problem_private="Passwörter werden nur über HTTPS angenommen.",
    problem_request="Die Anfrage ist fehlerhaft.",
)

LANGUAGES: Mapping[str, Words] = {"en": ENGLISH, "fr": FRENCH, "de": GERMAN}
KEYS = tuple(field.name for field in fields(Words))
MAX_CHOICES = 20  # languages looked at in a request


def chosen(accept: str, wished: str = "") -> str:
    """The language to answer in: of those wished by name, else what Accept-Language likes best.

    accept: RFC 9110 section 12.5.4. wished: tags separated by spaces, as `ui_locales` has them.
    """
    for tag in wished.split()[:MAX_CHOICES]:
        if tag[:2].lower() in LANGUAGES:
            return tag[:2].lower()
    best, weight = "en", 0.0
    for item in accept.split(",")[:MAX_CHOICES]:
        tag, _, parameter = item.strip().partition(";")
        try:
            quality = float(parameter.strip().removeprefix("q=") or "1")
        except ValueError:
            continue
        if tag[:2].lower() in LANGUAGES and weight < quality <= 1:
            best, weight = tag[:2].lower(), quality
    return best
