"""Client set-up without typing: what Thunderbird, Outlook and Apple ask before they ask a person."""
