"""scripts/package: the same recipe gives the same bytes, and what Lambda could not run is refused."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy/packaging"))

import archive  # noqa: E402
import coldstart  # noqa: E402
import elf  # noqa: E402
import template  # noqa: E402

RECIPE = '[[variant]]\nname = "only"\nformats = ["avif", "jpeg"]\n'


def package(out, **variables):
    environment = {**os.environ, "PROFILE": "dev", "MEASURE": "no", "PACKAGE": str(out), **variables}
    for name in ("CONFIG", "HOLD_BACK", "ARCH"):
        if name not in variables:
            environment.pop(name, None)
    return subprocess.run([ROOT / "scripts/package"], env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The output of scripts/package, with everything measured, and its folder."""
    out = tmp_path_factory.mktemp("package")
    result = package(out, MEASURE="yes")
    assert result.returncode == 0, result.stderr
    return result.stdout, out


@pytest.fixture(scope="module")
def packaged(report):
    return report[1]


def test_the_real_functions_start_and_their_figures_are_printed(report):
    printed, out = report
    for name in ("worker.zip", "api.zip"):
        line = rf"^{re.escape(str(out / name))}: \d+\.\d MiB, unpacked \d+\.\d MiB, glibc 2\.\d+, " \
            r"asks for work after \d+ ms with at most \d+\.\d MiB, sha256 [0-9a-f]{16}$"
        assert re.search(line, printed, flags=re.MULTILINE), printed
    assert re.search(r"viewer-request\.js, \d+ of 10240 bytes$", printed, flags=re.MULTILINE), printed


def test_two_runs_give_the_same_bytes(packaged, tmp_path):
    assert package(tmp_path).returncode == 0
    for name in ("worker.zip", "api.zip", "template.yaml"):
        assert (tmp_path / name).read_bytes() == (packaged / name).read_bytes(), name


def test_each_zip_is_an_executable_bootstrap_and_nothing_else(packaged):
    for name in ("worker.zip", "api.zip"):
        with zipfile.ZipFile(packaged / name) as content:
            [entry] = content.infolist()
            assert entry.filename == "bootstrap"
            assert entry.external_attr >> 16 == 0o100755
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert content.read(entry)[:4] == b"\x7fELF"


def test_the_configuration_travels_with_the_functions_and_shapes_them(tmp_path):
    config = tmp_path / "mine.toml"
    config.write_text(RECIPE)
    result = package(tmp_path / "out", CONFIG=str(config), HOLD_BACK="avif")
    assert result.returncode == 0, result.stderr
    for name in ("worker.zip", "api.zip"):
        with zipfile.ZipFile(tmp_path / "out" / name) as content:
            assert content.namelist() == ["bootstrap", "tintype.toml"]
            assert content.read("tintype.toml").decode() == RECIPE
    text = (tmp_path / "out/template.yaml").read_text()
    assert '{"name":"only","negotiated":["jpg"],"heldBack":["avif"]}' in text


@pytest.mark.parametrize(
    ("variables", "status", "message"),
    [
        ({"CONFIG": "/no/such.toml"}, 2, "CONFIG: /no/such.toml is not there"),
        ({"ARCH": "mips"}, 2, "ARCH is 'mips'"),
        ({"PROFILE": "fast"}, 2, "PROFILE is 'fast'"),
        ({"MEASURE": "maybe"}, 2, "MEASURE is 'maybe'"),
        ({"HOLD_BACK": "gif"}, 2, "jxl, avif, webp, jpeg and png"),
        ({"HOLD_BACK": "jpeg"}, 1, "neither JPEG nor PNG is left to negotiate"),
    ],
)
def test_mistakes_are_named(tmp_path, variables, status, message):
    result = package(tmp_path / "out", **variables)
    assert (result.returncode, message in result.stderr) == (status, True), result.stderr
    assert not list((tmp_path / "out").glob("*.zip"))


def test_a_recipe_that_is_wrong_is_refused_before_anything_is_written(tmp_path):
    config = tmp_path / "tintype.toml"
    config.write_text('[[variant]]\nname = "only"\nformats = ["avif"]\n')
    result = package(tmp_path / "out", CONFIG=str(config))
    assert result.returncode == 1
    assert 'needs "jpeg" or "png" among its formats' in result.stderr
    assert not list((tmp_path / "out").iterdir())


def test_the_template_is_the_shipped_one_but_for_the_functions(packaged):
    shipped = (ROOT / "deploy/template.yaml").read_text().splitlines()
    made = (packaged / "template.yaml").read_text().splitlines()
    rest, blocks, inside = [], [], None
    for line in made:
        if inside is not None and (line == "" or line.startswith(inside)):
            blocks[-1].append(line[len(inside) :])
            continue
        inside = None
        rest.append(line)
        if line.endswith("FunctionCode: |"):
            inside = line[: line.index("FunctionCode")] + "  "
            blocks.append([])
    named = [re.sub(r"functions/\S+\.js$", "|", line) for line in shipped]
    assert rest == named
    assert len(blocks) == sum("FunctionCode: functions/" in line for line in shipped) == 3
    for block in blocks:
        assert block[0].startswith("// Tintype ")
        assert "function handler(event) {" in block
        assert len("\n".join(block)) <= 10_240


def test_the_architecture_is_set_everywhere_or_not_at_all():
    text = "A:\n  Architectures: [x86_64]\nB:\n  Architectures: [x86_64] # why\nC:\n  Architectures: [x86_64]\n"
    changed = template.set_architecture(text, "arm64")
    assert changed.count("Architectures: [arm64]") == 2
    with pytest.raises(template.NotFound):
        template.set_architecture("A: 1\n", "arm64")
    with pytest.raises(template.NotFound, match="b.js"):
        template.inline_functions("  FunctionCode: functions/a.js\n", {"a.js": "x", "b.js": "y"})
    with pytest.raises(template.NotFound, match="a.js"):
        template.inline_functions("  FunctionCode: functions/a.js\n", {})


def test_zips_depend_on_nothing_but_their_contents(tmp_path):
    one, other = tmp_path / "one.zip", tmp_path / "other.zip"
    archive.write(one, {"a": (b"x", 0o755), "b": (b"y", 0o644)})
    os.utime(one)
    archive.write(other, {"b": (b"y", 0o644), "a": (b"x", 0o755)})
    assert archive.sha256(one) == archive.sha256(other)
    archive.write(other, {"b": (b"y", 0o644), "a": (b"x", 0o644)})
    assert archive.sha256(one) != archive.sha256(other)


def compile_c(folder, source, *options):
    program = folder / "program"
    subprocess.run(["cc", "-x", "c", "-", "-o", program, *options], input=source, text=True, check=True)
    return program


def test_binaries_that_amazon_linux_could_not_start_are_refused(tmp_path):
    host = coldstart_host()
    plain = compile_c(tmp_path, "int main(void) { return 0; }")
    assert re.fullmatch(r"2\.\d+", elf.check(plain, host))
    with pytest.raises(elf.Unsuitable, match="not for"):
        elf.check(plain, "arm64" if host == "x86_64" else "x86_64")
    # arc4random came with glibc 2.36.
    newer = compile_c(tmp_path, "#include <stdlib.h>\nint main(void) { return arc4random() & 1; }")
    with pytest.raises(elf.Unsuitable, match=r"glibc 2\.36, Lambda's AL2023 has 2\.34"):
        elf.check(newer, host)
    library = tmp_path / "libown.so"
    subprocess.run(["cc", "-shared", "-x", "c", "/dev/null", "-o", library, "-Wl,-soname,libown.so"], check=True)
    linked = compile_c(tmp_path, "int main(void) { return 0; }", "-Wl,--no-as-needed", "-x", "none", str(library))
    with pytest.raises(elf.Unsuitable, match=r"libown\.so, which Lambda's AL2023 does not have"):
        elf.check(linked, host)


def coldstart_host():
    return {"x86_64": "x86_64", "aarch64": "arm64"}[os.uname().machine]


def bootstrap(folder, body):
    program = folder / "bootstrap"
    program.write_text(f"#!{shutil.which('python3')}\nimport os, sys, urllib.request\n{body}\n")
    program.chmod(0o755)
    return str(program)


NEXT = 'urllib.request.urlopen(f"http://{os.environ[\'AWS_LAMBDA_RUNTIME_API\']}/2018-06-01/runtime/invocation/next")'


def test_the_start_is_measured_up_to_the_first_question(tmp_path):
    quick = coldstart.run_once(bootstrap(tmp_path, NEXT))
    slow = coldstart.run_once(bootstrap(tmp_path, f"import time; time.sleep(0.3); held = b'x' * (64 << 20)\n{NEXT}"))
    assert slow[0] >= 0.3, "the sleep before the question is in it"
    assert slow[1] - quick[1] >= 60 << 20


def test_a_function_that_does_not_start_says_why(tmp_path):
    with pytest.raises(coldstart.NeverAsked, match="status 3.*TINTYPE_TABLE is missing"):
        coldstart.run_once(bootstrap(tmp_path, "print('TINTYPE_TABLE is missing', file=sys.stderr); sys.exit(3)"))


def test_the_functions_get_what_the_template_gives_them():
    text = (ROOT / "deploy/template.yaml").read_text()
    named = set(re.findall(r"^ +(TINTYPE_\w+):", text, flags=re.MULTILINE))
    assert named and named <= set(coldstart.ENVIRONMENT), named - set(coldstart.ENVIRONMENT)
