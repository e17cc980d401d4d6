"""German, with the formal „Sie“."""

from postillon.mail.wording.catalogue import Cause, Explained, Wording

_AGAIN = (
    "Senden Sie die Nachricht später noch einmal. Wenn es eilt, wenden Sie sich auf anderem Weg an"
    " den Empfänger."
)
_ADMINISTRATOR = (
    "Das können Sie nicht selbst beheben: Leiten Sie diesen Bericht an Ihren Administrator weiter."
)
_DOMAIN = (
    "Prüfen Sie den Teil der Adresse nach dem @ auf Tippfehler. Stimmt er, dann senden Sie die"
    " Nachricht später noch einmal oder wenden Sie sich auf anderem Weg an den Empfänger."
)

GERMAN = Wording(
    language="de",
    plural=lambda count: 0 if count == 1 else 1,
    and_more=("{first} und {count} weiteren", "{first} und {count} weitere"),
    subject_failed="Nicht zugestellt: Ihre Nachricht an {whom}",
    subject_delayed="Verzögert, weitere Versuche folgen: Ihre Nachricht an {whom}",
    subject_delivered="Zugestellt: Ihre Nachricht an {whom}",
    subject_relayed="Weitergegeben: Ihre Nachricht an {whom}",
    subject_expanded="Verteilt: Ihre Nachricht an {whom}",
    opening_failed=(
        "Ihre Nachricht an {whom} konnte nicht zugestellt werden. Es folgen keine weiteren"
        " Versuche.",
        "Ihre Nachricht konnte {count} Empfängern nicht zugestellt werden. Es folgen keine"
        " weiteren Versuche.",
    ),
    opening_expired=(
        "Ihre Nachricht an {whom} konnte trotz aller Versuche in {span} nicht zugestellt werden."
        " Es folgen keine weiteren.",
        "Ihre Nachricht konnte {count} Empfängern trotz aller Versuche in {span} nicht zugestellt"
        " werden. Es folgen keine weiteren.",
    ),
    opening_delayed=(
        "Ihre Nachricht an {whom} konnte noch nicht zugestellt werden. Sie brauchen nichts zu tun:"
        " Wir versuchen es weiter.",
        "Ihre Nachricht konnte {count} Empfängern noch nicht zugestellt werden. Sie brauchen"
        " nichts zu tun: Wir versuchen es weiter.",
    ),
    opening_delivered=(
        "Ihre Nachricht wurde zugestellt: Sie liegt im Postfach von {whom}.",
        "Ihre Nachricht wurde zugestellt: Sie liegt in den Postfächern von {count} Empfängern.",
    ),
    opening_relayed=(
        "Ihre Nachricht an {whom} wurde an einen Server weitergegeben, der Zustellungen nicht"
        " bestätigt. Sie hören nur dann wieder davon, wenn etwas schiefgeht.",
        "Ihre Nachricht an {count} Empfänger wurde an Server weitergegeben, die Zustellungen nicht"
        " bestätigen. Sie hören nur dann wieder davon, wenn etwas schiefgeht.",
    ),
    opening_expanded=(
        "Ihre Nachricht an {whom} wurde angenommen und an alle verteilt, die unter dieser Adresse"
        " zu erreichen sind. Sie hören nur dann wieder davon, wenn etwas schiefgeht.",
        "Ihre Nachricht an {count} Adressen wurde angenommen und an alle verteilt, die darunter zu"
        " erreichen sind. Sie hören nur dann wieder davon, wenn etwas schiefgeht.",
    ),
    subject_summary=(
        "Nicht zugestellt: {count} Ihrer Nachrichten",
        "Nicht zugestellt: {count} Ihrer Nachrichten",
    ),
    opening_summary=(
        "{count} Ihrer Nachrichten konnte nicht zugestellt werden; es folgen keine weiteren"
        " Versuche. In kurzer Zeit sind so viele gescheitert, dass dieser eine Bericht für alle"
        " steht.",
        "{count} Ihrer Nachrichten konnten nicht zugestellt werden; es folgen keine weiteren"
        " Versuche. In kurzer Zeit sind so viele gescheitert, dass dieser eine Bericht für alle"
        " steht.",
    ),
    summary_left_out=(
        "{count} weitere Nachricht ist hier nicht aufgeführt. Ihr Administrator findet sie anhand"
        " des Absenders.",
        "{count} weitere Nachrichten sind hier nicht aufgeführt. Ihr Administrator findet sie"
        " anhand des Absenders.",
    ),
    label_subject="Betreff:",
    label_sent="Gesendet:",
    label_first_try="Erster Versuch:",
    label_tries="Versuche:",
    label_down_since="Nicht erreichbar seit:",
    label_last_answer="Letzte Antwort:",
    label_last_try="Letzter Versuch:",
    label_detail="Technische Angabe:",
    label_next_try="Nächster Versuch:",
    label_give_up="Wir geben auf:",
    label_to="An:",
    what_happened="Was geschehen ist",
    what_to_do="Was Sie tun können",
    what_was_tried="Was versucht wurde",
    tries=("{count}", "{count}"),
    tries_over=("{count} in {span}", "{count} in {span}"),
    tries_for_all=(
        "{count}, für alle Post an diesen Server",
        "{count} in {span}, jeder für alle Post an diesen Server",
    ),
    minutes=("{count} Minute", "{count} Minuten"),
    hours=("{count} Stunde", "{count} Stunden"),
    days=("{count} Tag", "{count} Tagen"),
    said="{host} antwortete: {words}",
    no_words="keine Antwort von {host}",
    administrator="Der Administrator schrieb: „{text}“",
    sender_name="E-Mail-Zustellung auf {host}",
    date="{weekday}, {day}. {month} {year}, {hour}:{minute} Uhr ({zone})",
    first_of_month="1",
    weekdays=(
        "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag",
    ),
    months=(
        "Januar", "Februar", "März", "April", "Mai", "Juni",
        "Juli", "August", "September", "Oktober", "November", "Dezember",
    ),
    causes={
        Cause.NO_MAILBOX: Explained(
            "Der Server des Empfängers kennt diese Adresse nicht. Das Postfach gibt es nicht oder"
            " nicht mehr.",
            "Prüfen Sie die Adresse auf Tippfehler und senden Sie die Nachricht noch einmal. Ist"
            " sie richtig, dann fragen Sie den Empfänger auf anderem Weg nach der jetzt gültigen"
            " Adresse.",
        ),
        Cause.MOVED: Explained(
            "Das Postfach des Empfängers ist umgezogen, und Nachrichten an die alte Adresse werden"
            " nicht nachgesandt.",
            "Sehen Sie in der letzten Antwort unten nach: Vielleicht nennt sie die neue Adresse."
            " Fragen Sie sonst den Empfänger danach.",
        ),
        Cause.NO_DOMAIN: Explained(
            "Den Teil der Adresse nach dem @ gibt es nicht, oder er hat keinen Mailserver.",
            "Prüfen Sie diesen Teil der Adresse auf Tippfehler und senden Sie die Nachricht noch"
            " einmal.",
        ),
        Cause.NO_MAIL: Explained(
            "Die Domain dieser Adresse, also der Teil nach dem @, nimmt überhaupt keine E-Mail an.",
            "Dort kann niemand E-Mail empfangen. Suchen Sie eine andere Adresse des Empfängers.",
        ),
        Cause.DISABLED: Explained(
            "Das Postfach gibt es, aber es ist abgeschaltet und nimmt keine Nachrichten an.",
            "Bitten Sie den Empfänger auf anderem Weg um eine andere Adresse.",
        ),
        Cause.FULL: Explained(
            "Das Postfach des Empfängers ist voll.",
            "Sagen Sie dem Empfänger auf anderem Weg Bescheid und senden Sie die Nachricht noch"
            " einmal, wenn wieder Platz ist.",
        ),
        Cause.TOO_LARGE: Explained(
            "Die Nachricht ist größer, als der Server des Empfängers erlaubt.",
            "Übermitteln Sie große Anhänge auf andere Weise, zum Beispiel als Link, oder verteilen"
            " Sie sie auf mehrere kleinere Nachrichten.",
        ),
        Cause.LIST: Explained(
            "Die Adresse ist ein Verteiler, der zurzeit nicht funktioniert.",
            "Sagen Sie denen Bescheid, die den Verteiler betreuen, oder schreiben Sie den"
            " Mitgliedern direkt.",
        ),
        Cause.REFUSED: Explained(
            "Der Server des Empfängers weist die Nachricht wegen seiner Regeln ab: Vielleicht hält"
            " er sie für Spam, oder er nimmt von Ihnen oder von unserem Server nichts an.",
            "Lesen Sie die letzte Antwort unten: Oft steht dort, woran es liegt. Lassen Sie weg,"
            " was verdächtig wirken kann, etwa viele Links oder ungewöhnliche Anhänge, und senden"
            " Sie die Nachricht noch einmal. Hilft das nicht, dann wenden Sie sich auf anderem Weg"
            " an den Empfänger und leiten Sie diesen Bericht an Ihren Administrator weiter.",
        ),
        Cause.MEMBERS_ONLY: Explained(
            "Die Adresse ist ein Verteiler, der nur von bestimmten Absendern Nachrichten annimmt.",
            "Bitten Sie die Betreuer des Verteilers um Erlaubnis oder schreiben Sie von der"
            " Adresse, mit der Sie dort angemeldet sind.",
        ),
        Cause.UNVERIFIED: Explained(
            "Der Server des Empfängers konnte nicht sicherstellen, dass die Nachricht wirklich aus"
            " Ihrer Domain kommt (SPF, DKIM, DMARC oder der Name des Servers im DNS).",
            _ADMINISTRATOR,
        ),
        Cause.TOO_MANY: Explained(
            "Der Server des Empfängers hat zu viele Nachrichten erhalten oder eine Nachricht mit zu"
            " vielen Empfängern.",
            "Senden Sie die Nachricht später noch einmal, an weniger Empfänger zugleich.",
        ),
        Cause.TLS: Explained(
            "Mit dem Server des Empfängers ist keine sichere (verschlüsselte) Verbindung möglich,"
            " und ohne sie darf die Nachricht nicht gesendet werden.",
            _ADMINISTRATOR,
        ),
        Cause.LOOP: Explained(
            "Die Nachricht läuft zwischen Servern im Kreis: Irgendwo auf ihrem Weg wird die Post"
            " dorthin zurückgeleitet, woher sie kam.",
            "Sagen Sie dem Empfänger Bescheid; vielleicht hat er eine Weiterleitung eingerichtet."
            " Liegt es nicht daran, dann leiten Sie diesen Bericht an Ihren Administrator weiter.",
        ),
        Cause.SENDER: Explained(
            "Der Server des Empfängers nimmt Ihre eigene Adresse als Absender nicht an.",
            "Prüfen Sie, mit welcher Adresse Ihr Mailprogramm sendet. Ist sie richtig, dann leiten"
            " Sie diesen Bericht an Ihren Administrator weiter.",
        ),
        Cause.CONTENT: Explained(
            "Der Server des Empfängers nimmt den Inhalt der Nachricht nicht an.",
            "Senden Sie sie als einfachen Text und Anhänge in einem verbreiteten Format oder auf"
            " andere Weise.",
        ),
        Cause.FORM: Explained(
            "Der Server des Empfängers kann die Nachricht in der Form, in der sie gesendet wurde,"
            " nicht empfangen (8-Bit- oder Binärinhalt).",
            "Senden Sie sie noch einmal mit einem anderen Programm, oder übermitteln Sie die"
            " Anhänge auf andere Weise.",
        ),
        Cause.INTERNATIONAL: Explained(
            "Die Nachricht enthält Adressen oder Kopfzeilen mit anderen Zeichen als den Buchstaben"
            " A bis Z, und das unterstützt der Server des Empfängers nicht (SMTPUTF8).",
            "Verwenden Sie für die Empfänger und für sich selbst nur Adressen ohne Umlaute und"
            " andere besondere Zeichen und senden Sie die Nachricht noch einmal.",
        ),
        Cause.UNREACHABLE: Explained(
            "Der Server des Empfängers ist nicht zu erreichen, oder die Verbindung mit ihm bricht"
            " ab.",
            _DOMAIN,
        ),
        Cause.DNS: Explained(
            "Die Server der Domain des Empfängers lassen sich nicht ermitteln: Der Namensdienst"
            " (DNS) gibt keine Auskunft.",
            _DOMAIN,
        ),
        Cause.BUSY: Explained(
            "Der Server des Empfängers kann die Nachricht im Augenblick nicht annehmen. Er ist"
            " überlastet oder gestört.",
            _AGAIN,
        ),
        Cause.LATER: Explained(
            "Der Server des Empfängers nimmt die Nachricht noch nicht an und bittet um einen"
            " späteren Versuch. Das tun viele Server, wenn sie einen Absender noch nicht kennen.",
            _AGAIN,
        ),
        Cause.LOGIN: Explained(
            "Der Server, über den unsere Post laufen muss, lehnt unsere Anmeldung ab.",
            _ADMINISTRATOR,
        ),
        Cause.PROTOCOL: Explained(
            "Unser Server und der Server des Empfängers verstehen einander nicht.",
            _ADMINISTRATOR,
        ),
        Cause.OURS: Explained(
            "Auf unserem eigenen Server liegt eine Störung vor.",
            _ADMINISTRATOR,
        ),
        Cause.ADMINISTRATOR: Explained(
            "Der Administrator unseres Servers hat die Nachricht an Sie zurückgegeben.",
            "Wenn Sie den Grund nicht kennen, fragen Sie Ihren Administrator.",
        ),
        Cause.HELD: Explained(
            "Der Administrator unseres Servers hält die Post dorthin zurzeit zurück.",
            "Wenn Sie den Grund nicht kennen, fragen Sie Ihren Administrator.",
        ),
        Cause.WAITING: Explained(
            "Die Nachricht muss warten: Dorthin ist viel Post unterwegs, oder unser Server ist"
            " ausgelastet.",
            _AGAIN,
        ),
        Cause.OTHER: Explained(
            "Der Server des Empfängers nimmt die Nachricht nicht an. Seine eigenen Worte stehen"
            " unten.",
            "Lesen Sie die letzte Antwort unten. Hilft sie Ihnen nicht weiter, dann wenden Sie sich"
            " auf anderem Weg an den Empfänger und leiten Sie diesen Bericht an Ihren"
            " Administrator weiter.",
        ),
    },
)  # fmt: skip
