"""French, with the formal « vous ».

Before `:` and inside « » stands a no-break space, before `;` a narrow one, as French typography asks.
"""

from postillon.mail.wording.catalogue import Cause, Explained, Wording

_AGAIN = (
    "Renvoyez le message plus tard. En cas d’urgence, joignez le destinataire par un autre moyen."
)
_ADMINISTRATOR = (
    "Vous ne pouvez pas y remédier vous-même : transmettez ce rapport à votre administrateur."
)
_DOMAIN = (
    "Vérifiez qu’il n’y a pas de faute de frappe dans la partie de l’adresse qui suit le @. Si elle"
    " est correcte, renvoyez le message plus tard ou joignez le destinataire par un autre moyen."
)

FRENCH = Wording(
    language="fr",
    plural=lambda count: 0 if count < 2 else 1,
    and_more=("{first} et {count} autre", "{first} et {count} autres"),
    subject_failed="Non remis : votre message à {whom}",
    subject_delayed="Retardé, nouvelles tentatives en cours : votre message à {whom}",
    subject_delivered="Remis : votre message à {whom}",
    subject_relayed="Transmis : votre message à {whom}",
    subject_expanded="Diffusé : votre message à {whom}",
    opening_failed=(
        "Votre message n’a pas pu être remis à {whom}. Il n’y aura pas d’autre tentative.",
        "Votre message n’a pas pu être remis à {count} destinataires. Il n’y aura pas d’autre"
        " tentative.",
    ),
    opening_expired=(
        "Votre message n’a pas pu être remis à {whom}, malgré nos tentatives pendant {span}. Il"
        " n’y en aura pas d’autre.",
        "Votre message n’a pas pu être remis à {count} destinataires, malgré nos tentatives"
        " pendant {span}. Il n’y en aura pas d’autre.",
    ),
    opening_delayed=(
        "Votre message n’a pas encore pu être remis à {whom}. Vous n’avez rien à faire : nous"
        " continuons d’essayer.",
        "Votre message n’a pas encore pu être remis à {count} destinataires. Vous n’avez rien à"
        " faire : nous continuons d’essayer.",
    ),
    opening_delivered=(
        "Votre message a été déposé dans la boîte aux lettres de {whom}.",
        "Votre message a été déposé dans les boîtes aux lettres de {count} destinataires.",
    ),
    opening_relayed=(
        "Votre message à {whom} a été transmis à un serveur qui ne confirme pas les remises. Vous"
        " n’en entendrez plus parler, sauf en cas de problème.",
        "Votre message à {count} destinataires a été transmis à des serveurs qui ne confirment pas"
        " les remises. Vous n’en entendrez plus parler, sauf en cas de problème.",
    ),
    opening_expanded=(
        "Votre message à {whom} a été accepté et diffusé à toutes les personnes que cette adresse"
        " regroupe. Vous n’en entendrez plus parler, sauf en cas de problème.",
        "Votre message à {count} adresses a été accepté et diffusé à toutes les personnes qu’elles"
        " regroupent. Vous n’en entendrez plus parler, sauf en cas de problème.",
    ),
    subject_summary=(
        "Non remis : {count} de vos messages",
        "Non remis : {count} de vos messages",
    ),
    opening_summary=(
        "{count} de vos messages n’a pas pu être remis ; il n’y aura pas d’autre tentative. Les"
        " échecs ont été si nombreux en peu de temps que ce rapport vaut pour tous.",
        "{count} de vos messages n’ont pas pu être remis ; il n’y aura pas d’autre tentative. Les"
        " échecs ont été si nombreux en peu de temps que ce rapport vaut pour tous.",
    ),
    summary_left_out=(
        "{count} autre message n’est pas énuméré ici. Votre administrateur peut le retrouver par"
        " son expéditeur.",
        "{count} autres messages ne sont pas énumérés ici. Votre administrateur peut les retrouver"
        " par leur expéditeur.",
    ),
    label_subject="Objet :",
    label_sent="Envoyé :",
    label_first_try="Première tentative :",
    label_tries="Tentatives :",
    label_down_since="Injoignable depuis :",
    label_last_answer="Dernière réponse :",
    label_last_try="Dernière tentative :",
    label_detail="Détail technique :",
    label_next_try="Prochaine tentative :",
    label_give_up="Abandon prévu :",
    label_to="À :",
    what_happened="Ce qui s’est passé",
    what_to_do="Ce que vous pouvez faire",
    what_was_tried="Ce qui a été tenté",
    tries=("{count}", "{count}"),
    tries_over=("{count} en {span}", "{count} en {span}"),
    tries_for_all=(
        "{count}, pour tout le courrier destiné à ce serveur",
        "{count} en {span}, chacune pour tout le courrier destiné à ce serveur",
    ),
    minutes=("{count} minute", "{count} minutes"),
    hours=("{count} heure", "{count} heures"),
    days=("{count} jour", "{count} jours"),
    said="{host} a répondu : {words}",
    no_words="aucune réponse de {host}",
    administrator="L’administrateur a écrit : « {text} »",
    sender_name="Service de messagerie de {host}",
    date="{weekday} {day} {month} {year} à {hour} h {minute} ({zone})",
    first_of_month="1er",
    weekdays=("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    months=(
        "janvier", "février", "mars", "avril", "mai", "juin",
        "juillet", "août", "septembre", "octobre", "novembre", "décembre",
    ),
    causes={
        Cause.NO_MAILBOX: Explained(
            "Le serveur du destinataire ne connaît pas cette adresse : la boîte aux lettres"
            " n’existe pas, ou n’existe plus.",
            "Vérifiez qu’il n’y a pas de faute de frappe dans l’adresse et renvoyez le message. Si"
            " elle est correcte, demandez au destinataire, par un autre moyen, quelle est son"
            " adresse actuelle.",
        ),
        Cause.MOVED: Explained(
            "La boîte aux lettres du destinataire a changé d’adresse, et le courrier adressé à"
            " l’ancienne n’est pas réexpédié.",
            "Lisez la dernière réponse ci-dessous : elle indique peut-être la nouvelle adresse."
            " Sinon, demandez-la au destinataire.",
        ),
        Cause.NO_DOMAIN: Explained(
            "La partie de l’adresse qui suit le @ n’existe pas, ou n’a pas de serveur de"
            " messagerie.",
            "Vérifiez qu’il n’y a pas de faute de frappe dans cette partie de l’adresse et"
            " renvoyez le message.",
        ),
        Cause.NO_MAIL: Explained(
            "Le domaine de cette adresse, c’est-à-dire la partie qui suit le @, n’accepte aucun"
            " courrier électronique.",
            "Personne ne peut y recevoir de courrier. Cherchez une autre adresse du destinataire.",
        ),
        Cause.DISABLED: Explained(
            "La boîte aux lettres existe, mais elle est désactivée et n’accepte pas de messages.",
            "Demandez une autre adresse au destinataire, par un autre moyen.",
        ),
        Cause.FULL: Explained(
            "La boîte aux lettres du destinataire est pleine.",
            "Prévenez le destinataire par un autre moyen et renvoyez le message quand il aura fait"
            " de la place.",
        ),
        Cause.TOO_LARGE: Explained(
            "Le message dépasse la taille que le serveur du destinataire accepte.",
            "Transmettez les pièces jointes volumineuses autrement, par exemple sous forme de lien,"
            " ou en plusieurs messages plus petits.",
        ),
        Cause.LIST: Explained(
            "L’adresse est une liste de diffusion qui ne fonctionne pas en ce moment.",
            "Prévenez les responsables de la liste, ou écrivez directement à ses membres.",
        ),
        Cause.REFUSED: Explained(
            "Le serveur du destinataire refuse le message en raison de ses règles : il le prend"
            " peut-être pour un message indésirable, ou n’accepte rien de vous ou de notre serveur.",
            "Lisez la dernière réponse ci-dessous : elle dit souvent ce qui ne va pas. Supprimez ce"
            " qui peut paraître suspect, comme de nombreux liens ou des pièces jointes"
            " inhabituelles, et renvoyez le message. Si cela ne suffit pas, joignez le destinataire"
            " par un autre moyen et transmettez ce rapport à votre administrateur.",
        ),
        Cause.MEMBERS_ONLY: Explained(
            "L’adresse est une liste de diffusion qui n’accepte que les messages de certains"
            " expéditeurs.",
            "Demandez l’autorisation aux responsables de la liste, ou écrivez depuis l’adresse avec"
            " laquelle vous y êtes inscrit.",
        ),
        Cause.UNVERIFIED: Explained(
            "Le serveur du destinataire n’a pas pu s’assurer que le message vient bien de votre"
            " domaine (SPF, DKIM, DMARC ou nom du serveur dans le DNS).",
            _ADMINISTRATOR,
        ),
        Cause.TOO_MANY: Explained(
            "Le serveur du destinataire a reçu trop de messages, ou un message adressé à trop de"
            " destinataires.",
            "Renvoyez le message plus tard, à moins de destinataires à la fois.",
        ),
        Cause.TLS: Explained(
            "Aucune connexion sécurisée (chiffrée) avec le serveur du destinataire n’est possible,"
            " et le message ne doit pas être envoyé sans elle.",
            _ADMINISTRATOR,
        ),
        Cause.LOOP: Explained(
            "Le message tourne en rond entre des serveurs : quelque part en chemin, le courrier est"
            " renvoyé là d’où il vient.",
            "Prévenez le destinataire, qui a peut-être mis en place un renvoi. Si cela ne vient pas"
            " de là, transmettez ce rapport à votre administrateur.",
        ),
        Cause.SENDER: Explained(
            "Le serveur du destinataire n’accepte pas votre propre adresse comme adresse"
            " d’expéditeur.",
            "Vérifiez de quelle adresse votre logiciel de messagerie envoie. Si elle est correcte,"
            " transmettez ce rapport à votre administrateur.",
        ),
        Cause.CONTENT: Explained(
            "Le serveur du destinataire n’accepte pas le contenu du message.",
            "Envoyez-le sous forme de texte simple, et les pièces jointes dans un format courant ou"
            " par un autre moyen.",
        ),
        Cause.FORM: Explained(
            "Le serveur du destinataire ne peut pas recevoir le message sous la forme dans laquelle"
            " il a été envoyé (contenu binaire ou sur 8 bits).",
            "Renvoyez-le avec un autre logiciel, ou transmettez les pièces jointes autrement.",
        ),
        Cause.INTERNATIONAL: Explained(
            "Le message comporte des adresses ou des champs d’en-tête avec d’autres caractères que"
            " les lettres de A à Z, ce que le serveur du destinataire n’admet pas (SMTPUTF8).",
            "N’employez, pour les destinataires comme pour vous-même, que des adresses sans accents"
            " ni autres caractères particuliers, et renvoyez le message.",
        ),
        Cause.UNREACHABLE: Explained(
            "Le serveur du destinataire est injoignable, ou la connexion avec lui s’interrompt.",
            _DOMAIN,
        ),
        Cause.DNS: Explained(
            "Les serveurs du domaine du destinataire sont introuvables pour l’instant : le service"
            " de noms (DNS) ne répond pas.",
            _DOMAIN,
        ),
        Cause.BUSY: Explained(
            "Le serveur du destinataire ne peut pas accepter le message en ce moment : il est"
            " surchargé ou en panne.",
            _AGAIN,
        ),
        Cause.LATER: Explained(
            "Le serveur du destinataire n’accepte pas encore le message et demande d’essayer plus"
            " tard. Beaucoup de serveurs le font quand ils ne connaissent pas encore l’expéditeur.",
            _AGAIN,
        ),
        Cause.LOGIN: Explained(
            "Le serveur par lequel notre courrier doit passer refuse notre connexion"
            " (authentification).",
            _ADMINISTRATOR,
        ),
        Cause.PROTOCOL: Explained(
            "Notre serveur et celui du destinataire ne se comprennent pas.",
            _ADMINISTRATOR,
        ),
        Cause.OURS: Explained(
            "Notre propre serveur est en panne.",
            _ADMINISTRATOR,
        ),
        Cause.ADMINISTRATOR: Explained(
            "L’administrateur de notre serveur vous a retourné le message.",
            "Si vous n’en connaissez pas la raison, demandez-la à votre administrateur.",
        ),
        Cause.HELD: Explained(
            "L’administrateur de notre serveur retient pour le moment le courrier vers cette"
            " destination.",
            "Si vous n’en connaissez pas la raison, demandez-la à votre administrateur.",
        ),
        Cause.WAITING: Explained(
            "Le message doit attendre : il y a beaucoup de courrier pour cette destination, ou notre"
            " serveur est très occupé.",
            _AGAIN,
        ),
        Cause.OTHER: Explained(
            "Le serveur du destinataire n’accepte pas le message. Ses propres mots figurent"
            " ci-dessous.",
            "Lisez la dernière réponse ci-dessous. Si elle ne vous aide pas, joignez le"
            " destinataire par un autre moyen et transmettez ce rapport à votre administrateur.",
        ),
    },
)  # fmt: skip
