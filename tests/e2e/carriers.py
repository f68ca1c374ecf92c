"""Pictures that carry a canary in everything but their pixels: one file for each format, and one canary for each place."""

import gzip
import io
import re
import struct
import zlib

from PIL import Image, ImageCms

import pictures

CANARY = "CANARY7d1f"

# Every encoder, with coefficients and rows kept wherever that is done.
EVERY_ENCODER = """
[[variant]]
name = "original"
formats = ["jxl", "avif", "webp", "jpeg", "png"]

[[variant]]
name = "exact"
formats = ["jxl", "webp", "png"]
quality = "lossless"
"""


def canary(place):
    return f"{CANARY}-{place}-DO-NOT-PUBLISH"


def forms(data):
    """The canaries in these bytes, in any of the encodings that they were planted in; of a part of one, that part."""
    found = set()
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        start = CANARY.encode(encoding)
        at = data.find(start)
        while at >= 0:
            words = data[at : at + 160].decode(encoding, "replace")
            found.add(re.match(f"{CANARY}(-[a-z0-9 ]+-DO-NOT-PUBLISH)?", words)[0])
            at = data.find(start, at + 1)
    return found


# ---- TIFF directories, which EXIF, MPF and TIFF itself are made of

ASCII, LONG, UNDEFINED, RATIONAL, SHORT, BYTE = 2, 4, 7, 5, 3, 1


def directory(entries, base, following=0):
    """A directory that begins at `base`, with its values behind it; `following` is the offset of the next one."""
    sizes = {ASCII: 1, BYTE: 1, SHORT: 2, LONG: 4, RATIONAL: 8, UNDEFINED: 1}
    table, values = b"", b""
    at = base + 2 + 12 * len(entries) + 4
    for tag, kind, data in sorted(entries):
        count = len(data) // sizes[kind]
        if len(data) <= 4:
            field = data.ljust(4, b"\0")
        else:
            field = struct.pack("<I", at + len(values))
            values += data + b"\0" * (len(data) % 2)
        table += struct.pack("<HHI", tag, kind, count) + field
    return struct.pack("<H", len(entries)) + table + struct.pack("<I", following) + values


def text(place):
    return canary(place).encode() + b"\0"


def exif(place, kept=True):
    """An EXIF block with a canary in each field that takes text, a maker note and a thumbnail."""
    camera = {tag: canary(name) for tag, name in [(0x010F, "kept make"), (0x0110, "kept model")]} if kept else {}
    main = [(tag, ASCII, value.encode() + b"\0") for tag, value in camera.items()]
    for tag, name in [(0x010E, "description"), (0x0131, "software"), (0x013B, "artist"), (0x013C, "computer"), (0x8298, "copyright")]:
        main.append((tag, ASCII, text(f"{place} {name}")))
    for tag, name in [(0x9C9B, "title"), (0x9C9C, "comment"), (0x9C9D, "author"), (0x9C9E, "keywords"), (0x9C9F, "subject")]:
        main.append((tag, BYTE, canary(f"{place} {name}").encode("utf-16-le") + b"\0\0"))
    main.append((0x0112, SHORT, struct.pack("<H", 1)))
    details = [
        (0x9003, ASCII, b"2026:11:25 18:27:58\0"),
        (0x9286, UNDEFINED, b"UNICODE\0" + canary(f"{place} user comment").encode("utf-16-le")),
        (0x927C, UNDEFINED, b"Nikon\0" + text(f"{place} maker note")),
        (0xA004, ASCII, text(f"{place} sound")),
        (0xA420, ASCII, text(f"{place} unique id")),
        (0xA430, ASCII, text(f"{place} owner")),
        (0xA431, ASCII, text(f"{place} serial number")),
        (0xA435, ASCII, text(f"{place} lens serial number")),
    ]
    if kept:
        details.append((0xA434, ASCII, text("kept lens")))
    place_of = [
        (1, ASCII, b"N\0"),
        (2, RATIONAL, struct.pack("<6I", 51, 1, 28, 1, 40, 1)),
        (3, ASCII, b"W\0"),
        (4, RATIONAL, struct.pack("<6I", 0, 1, 0, 1, 5, 1)),
        (0x1B, UNDEFINED, b"ASCII\0\0\0" + text(f"{place} method")),
        (0x1C, UNDEFINED, b"ASCII\0\0\0" + text(f"{place} area")),
    ]
    thumbnail = jpeg_with([(0xFE, text(f"{place} thumbnail"))], Image.new("RGB", (16, 16)))
    main += [(0x8769, LONG, b"\0" * 4), (0x8825, LONG, b"\0" * 4)]
    at_details = 8 + len(directory(main, 8))
    at_place = at_details + len(directory(details, at_details))
    at_second = at_place + len(directory(place_of, at_place))
    second = [(0x0103, SHORT, struct.pack("<H", 6)), (0x0201, LONG, b"\0" * 4), (0x0202, LONG, struct.pack("<I", len(thumbnail)))]
    at_thumbnail = at_second + len(directory(second, at_second))
    second[1] = (0x0201, LONG, struct.pack("<I", at_thumbnail))
    main[-2] = (0x8769, LONG, struct.pack("<I", at_details))
    main[-1] = (0x8825, LONG, struct.pack("<I", at_place))
    return (
        b"II*\0\x08\0\0\0"
        + directory(main, 8, at_second)
        + directory(details, at_details)
        + directory(place_of, at_place)
        + directory(second, at_second)
        + thumbnail
    )


def xmp(place, more=""):
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/" {more}><dc:title>{canary(place)}</dc:title></rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def iptc(place):
    """Photoshop's resources: an IPTC caption, a thumbnail and a caption digest of nobody's."""

    def resource(number, data):
        return b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data + b"\0" * (len(data) % 2)

    caption = canary(f"{place} caption").encode()
    thumbnail = b"\0\0\0\1" + b"\0" * 24 + jpeg_with([(0xFE, text(f"{place} resource"))], Image.new("RGB", (16, 16)))
    return resource(0x0404, b"\x1c\x02\x78" + struct.pack(">H", len(caption)) + caption) + resource(0x040C, thumbnail)


def icc(place):
    """A profile of sRGB whose description is the one text that records tell, with a canary in three more tags."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tags = []
    for number in range(struct.unpack(">I", profile[128:132])[0]):
        name, offset, size = struct.unpack(">4sII", profile[132 + 12 * number : 144 + 12 * number])
        if name not in (b"desc", b"cprt", b"dmdd"):
            tags.append((name, profile[offset : offset + size]))

    def localized(words):
        words = words.encode("utf-16-be")
        return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(words), 28) + words

    tags.append((b"desc", localized(canary("kept profile"))))
    tags.append((b"cprt", localized(canary(f"{place} copyright"))))
    tags.append((b"dmdd", b"text\0\0\0\0" + text(f"{place} device")))
    tags.append((b"PRVT", b"text\0\0\0\0" + text(f"{place} private")))
    table, data = b"", b""
    for name, content in tags:
        table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(data), len(content))
        data += content + b"\0" * (-len(content) % 4)
    whole = profile[:128] + struct.pack(">I", len(tags)) + table + data
    return struct.pack(">I", len(whole)) + whole[4:]


# ---- JPEG


def segment(marker, data):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def jpeg_with(segments, image, quality=60):
    plain = pictures.jpeg(image, quality)
    return plain[:2] + b"".join(segment(marker, data) for marker, data in segments) + plain[2:]


def multi_picture(primary, second):
    """The index of a file with a second picture behind the first (CIPA DC-007), in its place, and that picture."""

    def index(first_size, offset):
        entries = struct.pack("<IIIHH", 0x030000, first_size, 0, 0, 0) + struct.pack("<IIIHH", 0, len(second), offset, 0, 0)
        table = [
            (0xB000, UNDEFINED, b"0100"),
            (0xB001, LONG, struct.pack("<I", 2)),
            (0xB002, UNDEFINED, entries),
        ]
        return b"MPF\0II*\0\x08\0\0\0" + directory(table, 8)

    size = len(primary) + len(segment(0xE2, index(0, 0)))
    # Offsets count from the byte order mark, which is four bytes behind the segment's own head.
    offset = size - (2 + 4 + 4)
    return primary[:2] + segment(0xE2, index(size, offset)) + primary[2:] + second


def extended_xmp(place):
    guid = b"0123456789ABCDEF0123456789ABCDEF"
    packet = xmp(f"{place} extension")
    main = xmp(f"{place} packet", f'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{guid.decode()}"')
    return [
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + main),
        (0xE1, b"http://ns.adobe.com/xmp/extension/\0" + guid + struct.pack(">II", len(packet), 0) + packet),
    ]


GAIN_MAP = 'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" hdrgm:GainMapMax="2.0" hdrgm:HDRCapacityMax="2.0"'


def jpegs():
    photo = pictures.photo(160, 120, 3)
    everything = [
        (0xE0, b"JFXX\0\x10" + jpeg_with([(0xFE, text("jpeg jfxx"))], Image.new("RGB", (16, 16)))),
        (0xE1, b"Exif\0\0" + exif("jpeg exif")),
        *extended_xmp("jpeg xmp"),
        (0xE2, b"ICC_PROFILE\0\1\1" + icc("jpeg icc")),
        (0xE3, text("jpeg app3")),
        (0xEB, b"JP\0\1\0\0\0\1" + struct.pack(">I4s", 60, b"jumb") + text("jpeg jumbf")),
        (0xED, b"Photoshop 3.0\0" + iptc("jpeg iptc")),
        (0xEF, text("jpeg app15")),
        (0xFE, text("jpeg comment")),
    ]
    second = jpeg_with(
        [(0xE1, b"Exif\0\0" + exif("second exif", kept=False)), (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp("second xmp"))],
        pictures.photo(160, 120, 4),
    )
    map_ = jpeg_with(
        [(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp("gain map xmp", GAIN_MAP)), (0xFE, text("gain map comment"))],
        Image.new("L", (40, 30), 90),
    )
    primary = jpeg_with([(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp("hdr xmp", GAIN_MAP))], photo)
    plain = jpeg_with(everything, photo)
    fill = plain.rindex(b"\xff\xd9")
    return {
        "jpeg": plain + text("jpeg trailing"),
        "jpeg of high quality": jpeg_with(everything, photo, 97),
        "jpeg with two pictures": multi_picture(jpeg_with([], photo), second) + text("mpf trailing"),
        "jpeg with a gain map": multi_picture(primary, map_),
        "jpeg with bytes before its end": plain[:fill] + segment(0xFE, text("jpeg late comment")) + plain[fill:],
    }


# ---- PNG, GIF, WebP


def moving():
    return [pictures.code(24, 6, seed).convert("RGB") for seed in range(3)]


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_with(png, before, behind=b""):
    """These chunks right after the header, and these before the end."""
    return png[:33] + before + png[33:-12] + behind + png[-12:]


def pngs():
    def chunks(place):
        before = png_chunk(b"iCCP", canary(f"{place} name").encode()[:60] + b"\0\0" + zlib.compress(icc(f"{place} icc")))
        before += png_chunk(b"tEXt", b"Comment\0" + text(f"{place} text"))
        before += png_chunk(b"tEXt", canary(f"{place} keyword").encode()[:60] + b"\0x")
        before += png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(text(f"{place} ztxt")))
        before += png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(f"{place} xmp"))
        before += png_chunk(b"iTXt", b"Comment\0\1\0en\0\0" + zlib.compress(text(f"{place} itxt")))
        before += png_chunk(b"eXIf", exif(f"{place} exif"))
        before += png_chunk(b"prVt", text(f"{place} private")) + png_chunk(b"caBX", text(f"{place} c2pa"))
        return before

    photo, flat = pictures.photo(160, 120, 5), pictures.badge(200)
    frames = moving()
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:], duration=100)
    made = {}
    for name, data in [("png", pictures.png(photo)), ("png with alpha", pictures.png(flat)), ("apng", buffer.getvalue())]:
        late = png_chunk(b"tEXt", b"Late\0" + text(f"{name} late"))
        made[name] = png_with(data, chunks(name), late) + text(f"{name} trailing")
    return made


def gifs():
    def blocks(data):
        return b"".join(bytes([len(part)]) + part for part in (data[at : at + 255] for at in range(0, len(data), 255))) + b"\0"

    frames = [frame.convert("P") for frame in moving()]
    made = {}
    for name, more in [("gif", []), ("gif that moves", frames[1:])]:
        buffer = io.BytesIO()
        frames[0].save(buffer, "GIF", save_all=True, append_images=more, duration=100)
        data = buffer.getvalue()
        size = 13 + 3 * (2 << (data[10] & 7)) if data[10] & 0x80 else 13
        extensions = b"!\xfe" + blocks(text(f"{name} comment"))
        extensions += b"!\xff\x0bXMP DataXMP" + blocks(xmp(f"{name} xmp"))
        extensions += b"!\xff\x0bCANARY7d1fx" + blocks(text(f"{name} application"))
        made[name] = b"GIF89a" + data[6:size] + extensions + data[size:] + text(f"{name} trailing")
    return made


def riff_chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def webps():
    made = {}
    frames = [frame.convert("RGB") for frame in moving()]
    for name, first, more in [("webp", pictures.photo(160, 120, 6), []), ("webp that moves", frames[0], frames[1:])]:
        buffer = io.BytesIO()
        first.save(
            buffer,
            "WEBP",
            exif=exif(f"{name} exif"),
            xmp=xmp(f"{name} xmp"),
            icc_profile=icc(f"{name} icc"),
            **({"save_all": True, "append_images": more, "duration": 100} if more else {}),
        )
        data = buffer.getvalue() + riff_chunk(b"PRVT", text(f"{name} private"))
        made[name] = b"RIFF" + struct.pack("<I", len(data) - 8) + data[8:] + text(f"{name} trailing")
    return made


# ---- TIFF, AVIF, JPEG XL and the rest


def tiffs():
    photo = pictures.photo(160, 120, 7)
    strip = photo.tobytes()

    def page(place, base, following=0):
        entries = [
            (0x0100, SHORT, struct.pack("<H", 160)),
            (0x0101, SHORT, struct.pack("<H", 120)),
            (0x0102, SHORT, struct.pack("<3H", 8, 8, 8)),
            (0x0103, SHORT, struct.pack("<H", 1)),
            (0x0106, SHORT, struct.pack("<H", 2)),
            (0x0111, LONG, struct.pack("<I", 8)),
            (0x0115, SHORT, struct.pack("<H", 3)),
            (0x0116, LONG, struct.pack("<I", 120)),
            (0x0117, LONG, struct.pack("<I", len(strip))),
            (0x010D, ASCII, text(f"{place} document")),
            (0x010E, ASCII, text(f"{place} description")),
            (0x010F, ASCII, text("kept make")),
            (0x0110, ASCII, text("kept model")),
            (0x011D, ASCII, text(f"{place} page")),
            (0x0131, ASCII, text(f"{place} software")),
            (0x013B, ASCII, text(f"{place} artist")),
            (0x02BC, BYTE, xmp(f"{place} xmp")),
            (0x8298, ASCII, text(f"{place} copyright")),
            (0x83BB, UNDEFINED, b"\x1c\x02\x78\0\x30" + text(f"{place} iptc").ljust(48)),
            (0x8649, BYTE, iptc(f"{place} photoshop")),
            (0x8773, UNDEFINED, icc(f"{place} icc")),
            (0x935C, UNDEFINED, text(f"{place} layers")),
            (0xFDE8, ASCII, text(f"{place} private")),
        ]
        return directory(entries, base, following)

    first = 8 + len(strip)
    second = first + len(page("tiff", first))
    return {
        "tiff": b"II*\0" + struct.pack("<I", first) + strip + page("tiff", first, second) + page("second page", second) + text("tiff trailing")
    }


def box(name, data):
    return struct.pack(">I", len(data) + 8) + name + data


def avifs():
    made = {}
    frames = [frame.convert("RGB") for frame in moving()]
    for name, first, more in [("avif", pictures.photo(160, 120, 8), []), ("avif that moves", frames[0], frames[1:])]:
        buffer = io.BytesIO()
        first.save(
            buffer,
            "AVIF",
            exif=b"Exif\0\0" + exif(f"{name} exif"),
            xmp=xmp(f"{name} xmp"),
            icc_profile=icc(f"{name} icc"),
            **({"save_all": True, "append_images": more, "duration": 100} if more else {}),
        )
        boxes = box(b"free", text(f"{name} free")) + box(b"skip", text(f"{name} skip"))
        boxes += box(b"uuid", bytes(16) + text(f"{name} uuid"))
        made[name] = buffer.getvalue() + boxes
    return made


def stored_brotli(data):
    """A stream of uncompressed bytes (RFC 7932, section 9.2)."""
    # Window bits 16, then a block that is not the last, of four nibbles of length, uncompressed.
    bits = 0 | (0 << 1) | (0 << 2) | ((len(data) - 1) << 4) | (1 << 20)
    return bits.to_bytes(3, "little") + data + b"\3"


def jxl_container(codestream):
    """The boxes of a JPEG XL file around a codestream that was made elsewhere."""
    boxes = box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ")
    boxes += box(b"Exif", bytes(4) + exif("jxl exif")) + box(b"xml ", xmp("jxl xmp"))
    boxes += box(b"brob", b"xml " + stored_brotli(xmp("jxl brob"))) + box(b"jumb", text("jxl jumbf"))
    return boxes + box(b"jxlc", codestream) + box(b"free", text("jxl free")) + box(b"Exif", bytes(4) + exif("jxl late exif", kept=False))


DRAWING = f"""<?xml version="1.0"?><?note {canary("svg instruction")}?><!-- {canary("svg comment")} -->
<svg xmlns="http://www.w3.org/2000/svg" xmlns:e="http://example.com/{canary("svg namespace")}" width="160" height="120"
 id="{canary("svg id")}" data-note="{canary("svg attribute")}" class="{canary("svg class")}">
<title>{canary("svg title")}</title><desc>{canary("svg description")}</desc>
<metadata><e:note>{canary("svg metadata")}</e:note></metadata>
<style>/* {canary("svg style")} */ rect {{ fill: #246 }}</style>
<defs><text id="a">{canary("svg definition")}</text></defs>
<text display="none">{canary("svg text")}</text>
<script><![CDATA[ "{canary("svg script")}" ]]></script>
<foreignObject width="9" height="9"><p xmlns="http://www.w3.org/1999/xhtml">{canary("svg foreign")}</p></foreignObject>
<image href="https://example.invalid/{canary("svg link")}.png" width="9" height="9"/>
<rect width="100" height="80"/></svg>
""".encode()


def others():
    photo = pictures.photo(96, 72, 9)
    bmp, ico = io.BytesIO(), io.BytesIO()
    photo.save(bmp, "BMP")
    bitmap = bmp.getvalue()
    gap = text("bmp gap")
    bitmap = (
        bitmap[:2]
        + struct.pack("<I", len(bitmap) + len(gap))
        + bitmap[6:10]
        + struct.pack("<I", 54 + len(gap))
        + bitmap[14:54]
        + gap
        + bitmap[54:]
    )
    pictures.badge(256).save(ico, "ICO", sizes=[(256, 256)])
    icon = bytearray(ico.getvalue())
    inner = png_with(bytes(icon[22:]), png_chunk(b"tEXt", b"Comment\0" + text("ico text")))
    icon[14:18] = struct.pack("<I", len(inner))
    packed = io.BytesIO()
    with gzip.GzipFile(canary("svgz name"), "wb", fileobj=packed) as file:
        file.write(DRAWING)
    return {
        "bmp": bitmap + text("bmp trailing"),
        "ico": bytes(icon[:22]) + inner + text("ico trailing"),
        "svg": DRAWING,
        "svgz": packed.getvalue(),
    }


def all_files():
    """Every file that can be made here, by name; JPEG XL needs a codestream (`jxl_container`)."""
    return {**jpegs(), **pngs(), **gifs(), **webps(), **tiffs(), **avifs(), **others()}
