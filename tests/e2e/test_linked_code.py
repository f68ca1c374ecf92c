"""The C in the program: which of its functions are linked, and who calls those that read formats."""

import re
import subprocess

import pytest

from tintype import BINARY

# Where reading would begin in each library in C that reads what we read. None of them is in the program.
READERS = [
    "aom_codec_av1_dx", "aom_codec_decode", "aom_codec_dec_init_ver", "jpeg_read_header", "jpeg_start_decompress",
    "jpeg_read_scanlines", "jpeg_read_coefficients", "jpeg_CreateDecompress", "tjDecompress2", "tj3Decompress8",
    "png_read_info", "png_create_read_struct", "DGifOpen", "TIFFOpen", "TIFFClientOpen", "heif_context_read_from_memory",
    "JxlDecoderCreate", "de265_decode", "rsvg_handle_new_from_data", "WebPGetFeatures",
    "WebPDecodeRGBA", "WebPDecodeRGB", "WebPAnimDecoderNewInternal", "WebPDemuxInternal", "WebPINewDecoder", "inflate",
    "inflateInit_", "uncompress", "BrotliDecoderDecompress", "ZSTD_decompress", "lzma_code", "BZ2_bzDecompress", "xmlReadMemory",
    "FT_New_Memory_Face", "cmsOpenProfileFromMem",
]  # fmt: skip

# The calls that the program does make into libraries in C: the tests below can find them.
WRITERS = ["WebPEncode", "WebPAnimEncoderNewInternal", "aom_codec_av1_cx", "jpeg_start_compress", "libdeflate_zlib_compress", "sqlite3_open_v2"]

# What is linked of readers because a writer uses it on its own output, and everything that calls it.
OWN_OUTPUT = {
    # libwebp's encoder of animations reads the one frame back that it has just written, to write it as a still.
    "WebPDecode": {"OptimizeSingleFrame"},
    # oxipng looks whether the profile that it was given, and has packed itself, is sRGB.
    "libdeflate_zlib_decompress": {"libdeflater::Decompressor::zlib_decompress"},
    "libdeflater::Decompressor::zlib_decompress": {"oxipng::deflate::deflater::inflate"},
    "oxipng::deflate::deflater::inflate": {"oxipng::headers::preprocess_chunks"},
}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, errors="replace").stdout


def plain(name):
    """A mangled name of Rust without its hash, or any other name as it is."""
    if not name.startswith("_ZN"):
        return name
    parts, at = [], 3
    while match := re.match(r"\d+", name[at:]):
        at += match.end()
        parts.append(name[at : at + int(match[0])])
        at += int(match[0])
    return "::".join(part for part in parts if not re.fullmatch(r"h[0-9a-f]{16}", part))


@pytest.fixture(scope="module")
def functions():
    """The address of every function that the program has, by its name."""
    found = {}
    for line in run("nm", "--defined-only", BINARY).splitlines():
        address, kind, name = line.split(" ", 2)
        if kind in "TtWw":
            found.setdefault(plain(name), set()).add(int(address, 16))
    assert len(found) > 10_000, "a program with its names"
    return found


@pytest.fixture(scope="module")
def callers(functions):
    """For each function in C that matters, every function that calls it or takes its address."""
    wanted = {address: name for name in [*OWN_OUTPUT, *WRITERS] for address in functions.get(name, ())}
    # Rust calls C through a table of addresses, which the loader fills in.
    slots = {}
    for line in run("readelf", "--relocs", "--wide", BINARY).splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[2] == "R_X86_64_RELATIVE" and int(fields[3], 16) in wanted:
            slots[int(fields[0], 16)] = wanted[int(fields[3], 16)]
    found = {name: set() for name in wanted.values()}
    current = None
    listing = subprocess.Popen(
        ["objdump", "--disassemble", "--no-show-raw-insn", BINARY], stdout=subprocess.PIPE, text=True, errors="replace"
    )
    for line in listing.stdout:
        if line.endswith(">:\n"):
            current = plain(line[line.index("<") + 1 : -3])
        elif "# " in line or line.endswith(">\n"):
            for address in re.findall(r"(?:# |\s)([0-9a-f]{5,16})(?= <|\s|$)", line[10:]):
                name = slots.get(int(address, 16)) or wanted.get(int(address, 16))
                if name and name != current:
                    found[name].add(current)
    assert listing.wait() == 0
    return found


def test_no_reader_in_c_is_linked(functions):
    assert not [name for name in READERS if name in functions]
    assert [name for name in WRITERS if name not in functions] == []


def test_readers_that_are_linked_read_their_own_library_s_output(functions, callers):
    for name, allowed in OWN_OUTPUT.items():
        assert callers.get(name, set()) <= allowed, f"{name} is called by {callers[name]}"
    for name in WRITERS:
        assert callers[name], f"no caller of {name} was found, so the search is broken"
    pattern = r"(WebP\w*Decode$|libdeflate_\w*decompress(_ex)?$|libdeflate_alloc_decompressor)"
    readers = {name for name in functions if re.match(pattern, name)}
    known = {"WebPDecode", "libdeflate_alloc_decompressor", "libdeflate_alloc_decompressor_ex"}
    known |= {f"libdeflate_{kind}_decompress{more}" for kind in ("zlib", "deflate") for more in ("", "_ex")}
    assert readers <= known, readers - known
