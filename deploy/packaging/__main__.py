"""The part of scripts/package that comes after the compiler: checks, zips, functions, template, measurements."""

import argparse
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

import archive
import coldstart
import elf
import template

ROOT = pathlib.Path(__file__).resolve().parents[2]
FUNCTIONS = {"worker": "tintype-lambda-worker", "api": "tintype-lambda-api"}
HOSTS = {"x86_64": "x86_64", "aarch64": "arm64"}


def arguments():
    parser = argparse.ArgumentParser(prog="package")
    parser.add_argument("--arch", choices=sorted(elf.MACHINES), required=True)
    parser.add_argument("--binaries", type=pathlib.Path, required=True, help="folder of the Lambda binaries")
    parser.add_argument("--renderer", type=pathlib.Path, required=True, help="tintype-render-functions")
    parser.add_argument("--strip", required=True, help="strip for that processor")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--config", type=pathlib.Path)
    parser.add_argument("--hold-back", action="append", default=[])
    parser.add_argument("--measure", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


def render_functions(given, folder):
    command = [given.renderer, "--out", folder]
    if given.config:
        command += ["--config", given.config]
    for name in given.hold_back:
        command += ["--hold-back", name]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return {path.name: path.read_text(encoding="ascii") for path in sorted(folder.glob("*.js"))}


def package_function(given, name, folder):
    """Writes NAME.zip; the answer is a line of the report."""
    bootstrap = folder / "bootstrap"
    shutil.copyfile(given.binaries / FUNCTIONS[name], bootstrap)
    bootstrap.chmod(0o755)
    subprocess.run([given.strip, "--strip-all", bootstrap], check=True)
    glibc = elf.check(bootstrap, given.arch)
    entries = {"bootstrap": (bootstrap.read_bytes(), 0o755)}
    if given.config:
        # Beside the bootstrap, as it will be there: the measured start reads it too.
        shutil.copyfile(given.config, folder / "tintype.toml")
        entries["tintype.toml"] = (given.config.read_bytes(), 0o644)
    target = given.out / f"{name}.zip"
    archive.write(target, entries)
    sizes = f"{target.stat().st_size / 2**20:.1f} MiB, unpacked {bootstrap.stat().st_size / 2**20:.1f} MiB"
    return f"{target}: {sizes}, glibc {glibc}, {started(given, bootstrap)}, sha256 {archive.sha256(target)[:16]}"


def started(given, bootstrap):
    if not given.measure:
        return "start not measured"
    if HOSTS.get(platform.machine()) != given.arch:
        return "start not measured: built for another processor"
    seconds, peak = coldstart.measure(str(bootstrap))
    return f"asks for work after {seconds * 1000:.0f} ms with at most {peak / 2**20:.1f} MiB"


def main():
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        temporary = pathlib.Path(temporary)
        # The recipe first: what is wrong with it should be said before anything is written.
        functions = render_functions(given, temporary / "functions")
        text = (ROOT / "deploy/template.yaml").read_text(encoding="utf-8")
        text = template.set_architecture(template.inline_functions(text, functions), given.arch)
        for name in FUNCTIONS:
            folder = temporary / name
            folder.mkdir()
            print(package_function(given, name, folder))
    (given.out / "template.yaml").write_text(text, encoding="utf-8")
    for name, code in functions.items():
        print(f"{given.out}/template.yaml: {name}, {len(code)} of 10240 bytes")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        # The program has said on its standard error what is wrong.
        sys.exit(error.returncode)
    except (coldstart.NeverAsked, elf.Unsuitable, template.NotFound, OSError) as error:
        sys.exit(f"package: {error}")
