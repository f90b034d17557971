"""The data of the scenarios: always the same bytes, and how they are compared."""
import hashlib
import os
import random

from swarm.lab import check

MIB = 1 << 20

# Names that have broken one client or the other. Latin letters with accents,
# Greek, Cyrillic, Chinese, Japanese, Korean, Arabic, Hebrew, Devanagari, Thai,
# emoji, spaces, and what a shell or an URL would take apart. (No quotation
# mark, question mark and the like: Transmission writes an underscore instead.)
NAMES = [
    "crème brûlée.txt", "Ελληνικά.bin", "Съешь же ещё.bin", "漢字かな交じり文.bin", "한국어.bin",
    "مرحبا بالعالم.bin", "שלום.bin", "हिन्दी.bin", "ภาษาไทย.bin", "🦈🐟 shoal.bin",
    "with  two spaces.bin", "100% & #1+2=3;x.bin", "it's so.bin", "[brackets] (and) {braces}.bin",
    "no-extension", ".hidden", "UPPER.BIN", "ß ẞ ı İ.bin", "long " + "ñ" * 100 + ".bin", "a",
]
FOLDERS = ["", "sub", "sub/deeper/ещё глубже", "空 folder"]

# The sizes of 40 files. One byte, one less and one more than a block or a
# piece; what is odd makes the boundaries of the pieces fall inside of the
# files that follow.
SIZES = [
    0, 1, 0, 2, 3, 16383, 16384, 16385, 262143, 262144, 262145, 0, 1, 7, 100, 1000, 65536, 65537,
    524287, 1048577, 12345, 999, 31, 0, 3 * MIB + 17, 5 * MIB + 1, 7 * MIB - 1, 2 * MIB, MIB - 3, 11 * MIB + 11,
    13 * MIB + 13, 17 * MIB, 19 * MIB + 5, 23 * MIB + 9, 29 * MIB - 7, 31 * MIB + 1, 37 * MIB, 4099, 97 * MIB + 3, 8 * MIB,
]


def make_many_files(path):
    """Makes a folder of 40 files and more than 300 MiB."""
    for i, size in enumerate(SIZES):
        name = NAMES[i % len(NAMES)] if i < len(NAMES) else f"{i} {NAMES[i % len(NAMES)]}"
        write_random(os.path.join(path, FOLDERS[i % len(FOLDERS)], name), size, seed=i)


def make_file(path, size):
    write_random(path, size, seed=size)


def write_random(path, size, seed):
    """Writes bytes that look random and are the same each time."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    generator = random.Random(seed)
    with open(path, "wb") as file:
        for begin in range(0, size, MIB):
            file.write(generator.randbytes(min(MIB, size - begin)))


def hashes(path):
    """Returns the SHA-256 of every file, by its path below path. A path to a
    file has that one only, as the empty path."""
    if os.path.isfile(path):
        return {"": hash_file(path)}
    found = {}
    for parent, _, names in os.walk(path):
        for name in names:
            file = os.path.join(parent, name)
            found[os.path.relpath(file, path)] = hash_file(file)
    return found


def hash_file(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_same(path, want, except_empty=False):
    """Fails unless the files at path are those of want, which is what hashes
    returned: the same names, the same bytes, and nothing else. except_empty is
    for clients that do not make empty files."""
    check(os.path.exists(path), f"there is no {path}")
    got = hashes(path)
    empty = hashlib.sha256().hexdigest()
    missing = [name for name in want if name not in got and not (except_empty and want[name] == empty)]
    check(not missing, f"missing: {missing}")
    check(not got.keys() - want.keys(), f"there should not be: {sorted(got.keys() - want.keys())}")
    wrong = [name for name in got if got[name] != want[name]]
    check(not wrong, f"the bytes differ: {wrong}")
