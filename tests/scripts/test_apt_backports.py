"""The backports that scripts/setup adds come from the mirror that apt has the release from."""

from __future__ import annotations

import os
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# The release of scripts/setup's backports, and of another publisher who gives his suites the same name.
DEBIAN = "Origin: Debian\nLabel: Debian\nSuite: oldstable\nCodename: bookworm\nComponents: main contrib\n"
STRANGER = "Origin: Example\nCodename: bookworm\nComponents: main\n"


@dataclass(frozen=True)
class Apt:
    """An apt configuration of its own."""

    folder: Path

    def write(self, name: str, text: str) -> Path:
        path = self.folder / "sources" / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def publish(self, repository: str, release: str, suite: str = "bookworm") -> None:
        """Makes apt believe that it has downloaded the indexes of that suite."""
        for line in self.indextargets("$(REPO_URI)\t$(RELEASE)\t$(FILENAME)", "Created-By: Packages", filtered=False):
            uri, its_suite, file = line.split("\t")
            if (uri.rstrip("/"), its_suite) != (repository, suite):
                continue
            packages = self.folder / "lists" / Path(file).name
            packages.touch()
            packages.with_name(packages.name.partition(f"_dists_{suite}_")[0] + f"_dists_{suite}_Release").write_text(
                release, encoding="utf-8"
            )
            return
        raise AssertionError(f"apt knows no {repository} {suite}")

    def indextargets(self, template: str, *filters: str, filtered: bool = True) -> list[str]:
        command = ["apt-get", "-o", f"APT::Get::IndexTargets::Filtered={str(filtered).lower()}", "indextargets"]
        return self._run([*command, "--no-release-info", "--format", template, *filters]).stdout.splitlines()

    def call(self, function: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Calls a function of scripts/apt_backports.sh."""
        script = f'set -euo pipefail; source "{ROOT}/scripts/apt_backports.sh"; "$@"'
        return self._run(["bash", "-c", script, "bash", function, *map(str, arguments)], check=False)

    def derived(self) -> str:
        """The entry that scripts/setup would add."""
        entry = self.call("release_entry", "bookworm")
        assert entry.returncode == 0, entry.stderr
        file, _, number = entry.stdout.strip().rpartition(":")
        derived = self.call("backports_entry", "bookworm", file, number)
        assert derived.returncode == 0, derived.stderr
        return derived.stdout

    def _run(self, command: list[str], check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "APT_CONFIG": str(self.folder / "apt.conf")}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=check)


@pytest.fixture
def apt(tmp_path: Path) -> Apt:
    for folder in ("sources", "lists/partial", "cache"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "apt.conf").write_text(
        textwrap.dedent(f"""\
            APT::Architecture "amd64";
            APT::Architectures {{ "amd64"; }};
            Dir::Etc::sourcelist "/dev/null";
            Dir::Etc::sourceparts "{tmp_path}/sources";
            Dir::State::lists "{tmp_path}/lists";
            Dir::Cache "{tmp_path}/cache";
            """),
        encoding="utf-8",
    )
    return Apt(tmp_path)


def test_a_line_keeps_its_mirror_and_options(apt: Apt) -> None:
    apt.write(
        "debian.list",
        """\
        # deb http://commented.example/debian bookworm main
        deb-src http://mirror.example/some/path/debian bookworm main

          deb [arch=amd64 signed-by=/keys/mirror.gpg]  http://mirror.example/some/path/debian bookworm main # ours
        """,
    )
    apt.publish("http://mirror.example/some/path/debian", DEBIAN)
    assert (
        apt.derived() == "deb [arch=amd64 signed-by=/keys/mirror.gpg]  http://mirror.example/some/path/debian"
        " bookworm-backports main\n"
    )


def test_a_line_without_options(apt: Apt) -> None:
    apt.write("debian.list", "deb\thttp://mirror.example/debian/\tbookworm\tmain\n")
    apt.publish("http://mirror.example/debian", DEBIAN)
    assert apt.derived() == "deb http://mirror.example/debian/ bookworm-backports main\n"


def test_a_stanza_keeps_all_but_its_suites_and_components(apt: Apt) -> None:
    apt.write(
        "debian.sources",
        """\
        # The stanza of the security updates comes first, and is not the release's.
        Types: deb
        URIs: http://mirror.example/security
        Suites: bookworm-security
        Components: main

        # A comment between two stanzas.

        Types: deb
        Enabled: no
        URIs: http://disabled.example/debian
        Suites: bookworm
        Components: main

        Types: deb deb-src
        # A comment within.
        URIs: http://mirror.example/a/b/debian
         http://other.example/debian
        suites: bookworm
         bookworm-updates
        Components: main contrib
        Architectures: amd64
        Enabled: yes
        Signed-By:
         -----BEGIN PGP PUBLIC KEY BLOCK-----
         .
         mDMEZMy=
         -----END PGP PUBLIC KEY BLOCK-----
        """,
    )
    apt.publish("http://mirror.example/a/b/debian", DEBIAN)
    assert apt.derived() == textwrap.dedent("""\
        Types: deb
        Suites: bookworm-backports
        Components: main
        URIs: http://mirror.example/a/b/debian
         http://other.example/debian
        Architectures: amd64
        Signed-By:
         -----BEGIN PGP PUBLIC KEY BLOCK-----
         .
         mDMEZMy=
         -----END PGP PUBLIC KEY BLOCK-----
        """)


@pytest.mark.parametrize("form", ["list", "sources"])
def test_apt_reads_what_is_derived(apt: Apt, form: str) -> None:
    options = {"list": "[arch=amd64 trusted=yes] ", "sources": "Architectures: amd64\nTrusted: yes\n"}
    if form == "list":
        apt.write("debian.list", f"deb {options[form]}http://mirror.example/a/debian bookworm main\n")
    else:
        entry = "Types: deb\nURIs: http://mirror.example/a/debian http://b.example/debian\nSuites: bookworm\n"
        apt.write("debian.sources", f"{entry}Components: main\n{options[form]}")
    apt.publish("http://mirror.example/a/debian", DEBIAN)
    assert apt.call("has_backports", "bookworm").returncode == 1
    apt.write(f"bookworm-backports.{form}", apt.derived())
    assert apt.call("has_backports", "bookworm").returncode == 0
    found = apt.indextargets("$(REPO_URI) $(RELEASE) $(ARCHITECTURE)", "Created-By: Packages", filtered=False)
    mirrors = ["http://mirror.example/a/debian"] + (["http://b.example/debian"] if form == "sources" else [])
    assert {line for line in found if line.endswith("backports amd64")} == {
        f"{mirror}/ bookworm-backports amd64" for mirror in mirrors
    }


def test_a_strangers_suite_of_the_same_name_is_passed_over(apt: Apt) -> None:
    apt.write("a-stranger.list", "deb http://stranger.example/apt bookworm main\n")
    apt.write("b-debian.list", "deb http://mirror.example/debian oldstable main\n")
    apt.publish("http://stranger.example/apt", STRANGER)
    apt.publish("http://mirror.example/debian", DEBIAN, suite="oldstable")
    assert apt.derived() == "deb http://mirror.example/debian bookworm-backports main\n"


def test_without_a_mirror_there_is_nothing_to_derive(apt: Apt) -> None:
    apt.write("stranger.list", "deb http://stranger.example/apt bookworm main\n")
    apt.publish("http://stranger.example/apt", STRANGER)
    entry = apt.call("release_entry", "bookworm")
    assert (entry.returncode, entry.stdout.strip()) == (1, "")


@pytest.mark.parametrize("suite", ["bookworm", "bookworm-updates", "bookworm-backports-sloppy"])
def test_other_suites_are_not_the_backports(apt: Apt, suite: str) -> None:
    commented = "# deb http://mirror.example/debian bookworm-backports main"
    apt.write("debian.list", f"{commented}\ndeb http://mirror.example/debian {suite} main\n")
    assert apt.call("has_backports", "bookworm").returncode == 1


def test_a_line_of_another_form_is_refused(apt: Apt) -> None:
    file = apt.write("debian.list", "deb-src http://mirror.example/debian bookworm main\n")
    derived = apt.call("backports_entry", "bookworm", file, "1")
    assert (derived.returncode, derived.stdout) == (1, "")
