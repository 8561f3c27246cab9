"""Changes to the content of files: bytes, JSON within them, members of archives, files of folders."""

import io
import json
import zipfile

LINK = "a link: "
"""What a file's bytes begin with that becomes a link to what follows."""

NUMBERS = (0, -1, 1, 2, 7, 255, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, -(2**63), 10**20, 1e308, 0.5, -0.0)
VALUES = (
    *NUMBERS,
    *(None, True, False, "", "0", "a" * 5000, "\ud800", "\0", "../../elsewhere", "/etc/passwd", "é" * 9, "nan", "{}"),
    *([], {}, [[]], [None], {"": None}, [0] * 300, {"class_name": "Lambda", "config": {}}, float("nan"), float("inf")),
)


def mutated(content, rng, others):
    """A changed content.

    Args:
        content: bytes of a file, or {path: bytes} of a folder or an archive.
        rng: `numpy.random.Generator`.
        others: other contents of the same reader, to take parts from.
    """
    for _ in range(int(rng.integers(1, 4))):
        if isinstance(content, dict):
            content = _folder(content, rng, others)
        else:
            content = _file(content, rng, [one for one in others if isinstance(one, bytes)])
    return content


def packed(members):
    """The bytes of a .keras or .npz file of these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name or "_"), content)
    return file.getvalue()


def unpacked(content):
    """{member: bytes} of such a file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _folder(files, rng, others):
    files = dict(files)
    name = _one(sorted(files), rng) if files else ""
    match int(rng.integers(12)):
        case 0:
            files.pop(name, None)
        case 1:
            files[_one(("extra", "a/b", name + ".bak", "zarr.json", "ünï"), rng)] = b"{}"
        case 2:
            files[name] = LINK.encode() + _one((b"/etc/passwd", b"..", b"nowhere", b"."), rng)
        case 3 if len(files) > 1:
            other = _one(sorted(files), rng)
            files[name], files[other] = files[other], files[name]
        case 4:
            files[name] = b""
        case 5:
            donor = _one(others, rng) if others else {}
            if isinstance(donor, dict) and donor:
                files[name] = donor[_one(sorted(donor), rng)]
        case _:
            files[name] = _file(files.get(name, b""), rng, list(files.values()))
    return files


def _file(content, rng, others):
    try:
        tree = json.loads(content) if content[:1] in b"{[" and content else None
    except (ValueError, RecursionError):
        tree = None
    if tree is not None and rng.random() < 0.8:
        return json.dumps(_tree(tree, rng)).encode(errors="surrogatepass")
    return _bytes(bytearray(content), rng, others)


def _bytes(content, rng, others):
    size = len(content)
    place = int(rng.integers(size + 1))
    length = int(rng.integers(1, 65)) if rng.random() < 0.7 else int(rng.integers(1, size + 2))
    match int(rng.integers(9)):
        case 0:
            for at in rng.integers(0, max(size, 1), int(rng.integers(1, 9))) if size else ():
                content[at] ^= 1 << int(rng.integers(8))
        case 1:
            content[place : place + length] = rng.bytes(min(length, 4096))
        case 2:
            del content[place:]
        case 3:
            del content[place : place + length]
        case 4:
            content[place:place] = content[place : place + length] * int(rng.integers(1, 9))
        case 5:
            number = int(_one((0, 1, 255, 2**15, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1), rng))
            for width in (int(rng.choice((1, 2, 4, 8))),):
                content[place : place + width] = (number % 256**width).to_bytes(width, "little")
        case 6 if others:
            donor = _one(others, rng)
            start = int(rng.integers(len(donor) + 1))
            content[place : place + length] = donor[start : start + length]
        case 7:
            # Numbers in a text.
            digits = [at for at, byte in enumerate(content[:5000]) if 48 <= byte < 58]
            if digits:
                content[(at := _one(digits, rng)) : at + 1] = str(_one(NUMBERS, rng)).encode()
        case _:
            content[place : place + 1] = _one((b"\n", b",", b"\0", b"\xff\xfe", b'"', b";", b"\t", b"nan", b"-"), rng)
    return bytes(content)


def _tree(tree, rng):
    """A tree of JSON with one node replaced, removed, doubled or wrapped."""
    places = []

    def walk(node):
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], (dict, list)):
                walk(node[key])

    if not isinstance(tree, (dict, list)) or not tree:
        return _one(VALUES, rng)
    walk(tree)
    node, key = _one(places, rng)
    match int(rng.integers(8)):
        case 0:
            del node[key]
        case 1:
            other, at = _one(places, rng)
            if at in other if isinstance(other, dict) else at < len(other):
                node[key] = json.loads(json.dumps(other[at]))
        case 2:
            node[key] = [node[key]]
        case 3 if isinstance(node, dict):
            node[_one(("", "a", "name", "config", "class_name", "module", "shape"), rng)] = node.pop(key)
        case 4:
            for _ in range(int(_one((3, 40, 2000), rng))):
                node[key] = {"a": node[key]} if rng.random() < 0.5 else [node[key]]
        case _:
            node[key] = _one(VALUES, rng)
    try:
        json.dumps(tree)
    except (ValueError, RecursionError):
        node[key] = None
    return tree


def _one(choices, rng):
    return choices[int(rng.integers(len(choices)))]
