"""Names of protocols whose people are drawn, none of them real: a figure on these is no figure of the real set."""

_FORMS = (
    ("LFW View 2", "drawn pairs in LFW's form"),
    ("LFW View 1", "drawn pairs in LFW's form"),
    ("YTF", "drawn tracks in YTF's form"),
    ("own people", "drawn people"),
)


def drawn_name(protocol: str) -> str:
    """Returns what a protocol is called where the people are drawn."""
    for real, drawn in _FORMS:
        if protocol.startswith(real):
            return drawn + protocol.removeprefix(real)
    return f"drawn people, {protocol}"
