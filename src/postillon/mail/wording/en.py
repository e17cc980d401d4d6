"""English."""

from postillon.mail.wording.catalogue import Cause, Explained, Wording

_AGAIN = "Send the message again later. If it is urgent, reach the recipient by other means."
_ADMINISTRATOR = "You cannot mend this yourself: forward this report to your administrator."

ENGLISH = Wording(
    language="en",
    plural=lambda count: 0 if count == 1 else 1,
    and_more=("{first} and {count} more", "{first} and {count} more"),
    subject_failed="Not delivered: your message to {whom}",
    subject_delayed="Delayed, still trying: your message to {whom}",
    subject_delivered="Delivered: your message to {whom}",
    subject_relayed="Handed on: your message to {whom}",
    subject_expanded="Distributed: your message to {whom}",
    opening_failed=(
        "Your message could not be delivered to {whom}. It will not be tried again.",
        "Your message could not be delivered to {count} recipients. It will not be tried again.",
    ),
    opening_expired=(
        "Your message could not be delivered to {whom} although we kept trying for {span}. It"
        " will not be tried again.",
        "Your message could not be delivered to {count} recipients although we kept trying for"
        " {span}. It will not be tried again.",
    ),
    opening_delayed=(
        "Your message to {whom} has not been delivered yet. You need not do anything: we keep"
        " trying.",
        "Your message has not been delivered to {count} recipients yet. You need not do anything:"
        " we keep trying.",
    ),
    opening_delivered=(
        "Your message has been delivered to the mailbox of {whom}.",
        "Your message has been delivered to the mailboxes of {count} recipients.",
    ),
    opening_relayed=(
        "Your message to {whom} has been handed on to a server that does not report deliveries."
        " You will hear of it again only if something goes wrong.",
        "Your message to {count} recipients has been handed on to servers that do not report"
        " deliveries. You will hear of it again only if something goes wrong.",
    ),
    opening_expanded=(
        "Your message to {whom} has been accepted and distributed to everybody behind that"
        " address. You will hear of it again only if something goes wrong.",
        "Your message to {count} addresses has been accepted and distributed to everybody behind"
        " them. You will hear of it again only if something goes wrong.",
    ),
    subject_summary=(
        "Not delivered: {count} of your messages",
        "Not delivered: {count} of your messages",
    ),
    opening_summary=(
        "{count} of your messages could not be delivered and will not be tried again. So many"
        " failed within a short time that this one report speaks for all of them.",
        "{count} of your messages could not be delivered and will not be tried again. So many"
        " failed within a short time that this one report speaks for all of them.",
    ),
    summary_left_out=(
        "{count} more message is not listed here. Your administrator can find it by its sender.",
        "{count} more messages are not listed here. Your administrator can find them by their"
        " sender.",
    ),
    label_subject="Subject:",
    label_sent="Sent:",
    label_first_try="First try:",
    label_tries="Tries:",
    label_down_since="Out of reach since:",
    label_last_answer="Last answer:",
    label_last_try="Last try:",
    label_detail="Technical detail:",
    label_next_try="Next try:",
    label_give_up="We give up:",
    label_to="To:",
    what_happened="What happened",
    what_to_do="What you can do",
    what_was_tried="What was tried",
    tries=("{count}", "{count}"),
    tries_over=("{count} in {span}", "{count} in {span}"),
    tries_for_all=(
        "{count}, for all mail to that server",
        "{count} in {span}, each for all mail to that server",
    ),
    minutes=("{count} minute", "{count} minutes"),
    hours=("{count} hour", "{count} hours"),
    days=("{count} day", "{count} days"),
    said="{host} said: {words}",
    no_words="no answer from {host}",
    administrator='The administrator wrote: "{text}"',
    sender_name="Mail delivery at {host}",
    date="{weekday}, {day} {month} {year}, {hour}:{minute} {zone}",
    first_of_month="1",
    weekdays=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    months=(
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December",
    ),
    causes={
        Cause.NO_MAILBOX: Explained(
            "The recipient's server does not know this address. The mailbox does not exist, or"
            " does not exist any more.",
            "Check the address for typing errors and send the message again. If it is right, ask"
            " the recipient by other means which address is valid now.",
        ),
        Cause.MOVED: Explained(
            "The recipient's mailbox has moved, and mail to the old address is not forwarded.",
            "Look at the last answer below: it may name the new address. Otherwise ask the"
            " recipient for it.",
        ),
        Cause.NO_DOMAIN: Explained(
            "The part of the address after the @ does not exist, or has no mail server.",
            "Check that part of the address for typing errors and send the message again.",
        ),
        Cause.NO_MAIL: Explained(
            "The domain of this address, the part after the @, accepts no mail at all.",
            "Nobody can receive mail there. Look for another address of the recipient.",
        ),
        Cause.DISABLED: Explained(
            "The mailbox exists, but it is switched off and accepts no mail.",
            "Ask the recipient by other means for another address.",
        ),
        Cause.FULL: Explained(
            "The recipient's mailbox is full.",
            "Tell the recipient by other means, and send the message again when there is room.",
        ),
        Cause.TOO_LARGE: Explained(
            "The message is larger than the recipient's server accepts.",
            "Send large attachments in another way, for example as a link, or in several smaller"
            " messages.",
        ),
        Cause.LIST: Explained(
            "The address is a distribution list that does not work at the moment.",
            "Tell those who look after the list, or write to its members directly.",
        ),
        Cause.REFUSED: Explained(
            "The recipient's server refuses the message because of its rules: it may take it for"
            " spam, or not accept mail from you or from our server.",
            "Read the last answer below: it often says what is in the way. Leave out what may look"
            " suspicious, such as many links or unusual attachments, and send the message again."
            " If that does not help, reach the recipient by other means, and forward this report"
            " to your administrator.",
        ),
        Cause.MEMBERS_ONLY: Explained(
            "The address is a list that accepts messages from certain senders only.",
            "Ask those who look after the list for permission, or write from the address with"
            " which you are registered there.",
        ),
        Cause.UNVERIFIED: Explained(
            "The recipient's server could not make sure that the message really comes from your"
            " domain (SPF, DKIM, DMARC or the server's name in DNS).",
            _ADMINISTRATOR,
        ),
        Cause.TOO_MANY: Explained(
            "The recipient's server has received too many messages, or a message with too many"
            " recipients.",
            "Send the message again later, to fewer recipients at a time.",
        ),
        Cause.TLS: Explained(
            "No secure (encrypted) connection to the recipient's server is possible, and without"
            " one the message must not be sent.",
            _ADMINISTRATOR,
        ),
        Cause.LOOP: Explained(
            "The message goes round in circles between servers: somewhere on its way, mail is"
            " forwarded back to where it came from.",
            "Tell the recipient, who may have set up forwarding. If that is not the reason,"
            " forward this report to your administrator.",
        ),
        Cause.SENDER: Explained(
            "The recipient's server does not accept your own address as that of a sender.",
            "Check which address your mail program sends from. If it is right, forward this"
            " report to your administrator.",
        ),
        Cause.CONTENT: Explained(
            "The recipient's server does not accept the content of the message.",
            "Send it as simple text, and attachments in a common format or in another way.",
        ),
        Cause.FORM: Explained(
            "The recipient's server cannot receive the message in the form in which it was sent"
            " (8-bit or binary content).",
            "Send it again from another program, or send the attachments in another way.",
        ),
        Cause.INTERNATIONAL: Explained(
            "The message has addresses or header fields with letters beyond A to Z, which the"
            " recipient's server does not support (SMTPUTF8).",
            "Use only addresses of plain letters, for the recipients and for yourself, and send"
            " the message again.",
        ),
        Cause.UNREACHABLE: Explained(
            "The recipient's server cannot be reached, or the connection to it breaks off.",
            "Check the part of the address after the @ for typing errors. If it is right, send"
            " the message again later or reach the recipient by other means.",
        ),
        Cause.DNS: Explained(
            "The servers of the recipient's domain cannot be looked up: the name service (DNS)"
            " gives no answer.",
            "Check the part of the address after the @ for typing errors. If it is right, send"
            " the message again later or reach the recipient by other means.",
        ),
        Cause.BUSY: Explained(
            "The recipient's server cannot accept the message at the moment. It is overloaded or"
            " has a fault.",
            _AGAIN,
        ),
        Cause.LATER: Explained(
            "The recipient's server does not accept the message yet and asks to be tried later."
            " Many servers do so when a sender is new to them.",
            _AGAIN,
        ),
        Cause.LOGIN: Explained(
            "The server through which our mail has to go refuses our login.",
            _ADMINISTRATOR,
        ),
        Cause.PROTOCOL: Explained(
            "Our server and the recipient's server do not understand one another.",
            _ADMINISTRATOR,
        ),
        Cause.OURS: Explained(
            "Our own server has a fault.",
            _ADMINISTRATOR,
        ),
        Cause.ADMINISTRATOR: Explained(
            "The administrator of our server has returned the message to you.",
            "If you do not know why, ask your administrator.",
        ),
        Cause.HELD: Explained(
            "The administrator of our server is holding back mail for that place at the moment.",
            "If you do not know why, ask your administrator.",
        ),
        Cause.WAITING: Explained(
            "The message has to wait: there is much mail for that place, or our server is busy.",
            _AGAIN,
        ),
        Cause.OTHER: Explained(
            "The recipient's server does not accept the message. Its own words stand below.",
            "Read the last answer below. If it does not help you, reach the recipient by other"
            " means, and forward this report to your administrator.",
        ),
    },
)  # fmt: skip
