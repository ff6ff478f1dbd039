"""Builds the image without a registry of images, runs it as strictly as it may be run, and holds it to its word.

    make image-check                          a base is made of this Debian's own packages
    BASE=python:3.11-slim make image-check    a base that a registry has

Needs root, Debian, buildah, runc, and debootstrap for a base of its own: apt-get install buildah runc debootstrap.
The image is run by runc with a read-only root, as user 10001, without a capability, with no new privileges, and with a
network that holds itself alone. What cannot be seen so: what Docker itself makes of HEALTHCHECK, VOLUME and STOPSIGNAL.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
BUNDLE: Final = "/etc/ssl/certs/ca-certificates.crt"
USER: Final = 10001
CONTACTS: Final = 400
MEBI: Final = 2**20


def main() -> None:
    """Build, look, run, stop, and count."""
    needed = ["buildah", "runc", "nsenter", *([] if os.environ.get("BASE") else ["debootstrap"])]
    missing = [tool for tool in needed if not shutil.which(tool)]
    if os.geteuid() or missing:
        sys.exit(f"This needs root and {', '.join(needed)}; missing: {', '.join(missing) or 'root'}.")
    with tempfile.TemporaryDirectory(prefix="imdlens-image-") as folder:
        image = Image(Path(folder))
        try:
            image.build()
            rootfs = image.look()
            Container(Path(folder), rootfs).check()
        finally:
            image.remove()
    print("All of it is so.")


def said(*command: str | Path, **named: Any) -> str:
    """What a command prints; its errors, and the end, where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **named)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command[:6]))} … failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def holds(what: str, true: object) -> None:
    """Say what is so, or stop."""
    if not true:
        sys.exit(f"NOT SO: {what}")
    print(f"  {what}", flush=True)


class Image:
    """The image in a store of its own, without an engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._store = ("--root", folder / "store", "--runroot", folder / "run", "--storage-driver", "vfs")

    def _buildah(self, command: str, *arguments: str | Path) -> str:
        # vfs and chroot: they ask nothing of the kernel that a container around this one may refuse.
        return said("buildah", *self._store, command, *arguments)

    def build(self) -> None:
        """Build the Dockerfile on a base that is named, or on one made of packages."""
        base = os.environ.get("BASE") or self._made_of_packages()
        print(f"Building on {base} …", flush=True)
        pip = self.folder / "pip.conf"
        pip.write_text(f"[global]\ncert = {BUNDLE}\ntimeout = 180\n")  # an organisation's own authority is believed
        began = time.monotonic()
        commit = said("git", "rev-parse", "HEAD", cwd=ROOT).strip()
        trusted = ("--volume", "/etc/ssl/certs:/etc/ssl/certs:ro", "--volume", f"{pip}:/etc/pip.conf:ro")
        told = ("--build-arg", f"BASE={base}", "--build-arg", f"COMMIT={commit}")
        # In Docker's format: that of OCI has no health check.
        self._buildah("bud", "--format", "docker", "--isolation", "chroot", *trusted, *told, "--tag", "imd-lens", ROOT)
        print(f"  built in {time.monotonic() - began:.0f} s", flush=True)

    def _made_of_packages(self) -> str:
        release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
        suite = release["VERSION_CODENAME"].strip('"')
        targets = said("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages")
        site = next(line.split()[0] for line in targets.splitlines() if line.split()[1:] == [suite])
        print(f"Making a base of Debian {suite} …", flush=True)
        base = self.folder / "base"
        packages = "--include=python3,python3-venv,ca-certificates"
        said("debootstrap", "--variant=minbase", packages, suite, base, site)
        shutil.rmtree(base / "var" / "cache" / "apt" / "archives")
        container = self._buildah("from", "scratch").strip()
        self._buildah("copy", container, base, "/")
        self._buildah("commit", "--rm", container, "localhost/base")
        shutil.rmtree(base)
        return "localhost/base"

    def look(self) -> Path:
        """What is in it, and what it says of itself; its files."""
        told = json.loads(self._buildah("inspect", "--type", "image", "imd-lens"))["Docker"]["config"]
        print("The image:")
        holds("runs as 10001:10001", told["User"] == "10001:10001")
        holds("stops by SIGTERM", told["StopSignal"] == "SIGTERM")
        holds("keeps /counts and /data apart", set(told["Volumes"]) == {"/counts", "/data"})
        holds("asks how it is without a shell", told["Healthcheck"]["Test"][:2] == ["CMD", "python"])
        holds("names its commit", len(told["Labels"]["org.opencontainers.image.revision"]) == 40)
        holds("starts without a shell", told["Entrypoint"] == ["imdlens"] and "sh" not in told["Cmd"])
        container = self._buildah("from", "imd-lens").strip()
        rootfs = Path(self._buildah("mount", container).strip())
        places = ("usr/bin", "usr/local/bin", "opt/imdlens/bin")
        tools = [tool for tool in ("gcc", "cc", "make", "git") for place in places if (rootfs / place / tool).exists()]
        holds("has no compiler, make or git", not tools)
        holds("has no pip beside the service", not list((rootfs / "opt/imdlens").rglob("site-packages/pip")))
        owned = [path for path in (rootfs / "opt/imdlens").rglob("*") if path.lstat().st_uid == USER]
        holds("its user owns nothing of the code", not owned)
        tree = (path for path in rootfs.rglob("*") if path.is_file() and not path.is_symlink())
        print(f"  {sum(path.lstat().st_size for path in tree) / MEBI:.0f} MiB unpacked", flush=True)
        return rootfs

    def remove(self) -> None:
        """Take its store away, mounts first."""
        subprocess.run(["buildah", *self._store, "rm", "--all"], capture_output=True, check=False)


class Container:
    """The image, run."""

    def __init__(self, folder: Path, rootfs: Path) -> None:
        self.folder, self.rootfs = folder / "bundle", rootfs
        self._runc = ("runc", "--root", folder / "runc")
        (self.folder / "counts").mkdir(parents=True)
        os.chown(self.folder / "counts", USER, USER)

    def _bundle(self, *arguments: str) -> None:
        def tmpfs(place: str, size: str, *more: str) -> dict[str, Any]:
            options = ["nosuid", "noexec", f"size={size}", *more]
            return {"destination": place, "type": "tmpfs", "source": "tmpfs", "options": options}

        environment = {
            "PATH": "/opt/imdlens/bin:/usr/local/bin:/usr/bin:/bin",
            "IMDLENS_DATA_DIR": "/opt/imdlens/starter",
            "IMDLENS_COUNTS_DIR": "/counts",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        process = {
            "user": {"uid": USER, "gid": USER},
            "args": ["imdlens", *arguments],
            "cwd": "/",
            "env": [f"{name}={value}" for name, value in environment.items()],
            "noNewPrivileges": True,
            "capabilities": {},
        }
        counts = {"destination": "/counts", "type": "bind", "source": str(self.folder / "counts")}
        mounts = [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            tmpfs("/dev", "64k", "mode=755"),
            tmpfs("/tmp", "64m", "nodev", "mode=1777"),
            {**counts, "options": ["rbind", "rw", "nosuid", "nodev", "noexec"]},
        ]
        spaces = [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network")]
        linux = {"namespaces": spaces, "resources": {"memory": {"limit": 1024 * MEBI}, "pids": {"limit": 256}}}
        root = {"path": str(self.rootfs), "readonly": True}
        config = {"ociVersion": "1.0.2", "process": process, "root": root, "mounts": mounts, "linux": linux}
        (self.folder / "config.json").write_text(json.dumps(config))

    def run(self, *arguments: str) -> str:
        """One command of `imdlens` in a container of its own."""
        self._bundle(*arguments)
        return said(*self._runc, "run", "--bundle", self.folder, "once")

    def inside(self, program: str) -> subprocess.CompletedProcess[str]:
        """A Python program in the container that serves, as its user."""
        command = [*self._runc, "exec", "serves", "python", "-c", program]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def check(self) -> None:
        """Serve, be asked, be told to stop while work is in flight, and have counted all that was answered."""
        print("Run read-only, as 10001, without capabilities:")
        key = self.run("keys", "create", "--name", "epr", "--scope", "enrich").split()[-1]
        for workers in ("2", "1"):
            self._serve(key, workers)

    def _serve(self, key: str, workers: str) -> None:
        before = self._counted()
        self._bundle("serve", "--host", "0.0.0.0", "--port", "8080", "--workers", workers)
        log = self.folder / "log"
        with log.open("w") as told:
            serving = subprocess.Popen([*self._runc, "run", "--bundle", self.folder, "serves"], stderr=told)
        try:
            self._becomes_ready(serving, log)
            self._is_shut_in()
            pid = json.loads(said(*self._runc, "state", "serves"))["pid"]
            client = subprocess.Popen(
                [
                    "nsenter",
                    f"--net=/proc/{pid}/ns/net",
                    sys.executable,
                    ROOT / "deploy" / "image_load.py",
                    str(CONTACTS),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert client.stdin
            assert client.stdout
            client.stdin.write(key + "\n")
            client.stdin.flush()
            holds("a stream is in flight", client.stdout.readline() == "begun\n")
            said(*self._runc, "kill", "serves", "TERM")
            report = json.loads(client.communicate(timeout=60)[0])
            holds(f"{workers} workers: ends by itself on SIGTERM", serving.wait(30) is not None)
        finally:
            subprocess.run([*self._runc, "delete", "--force", "serves"], capture_output=True, check=False)
        holds("the stream in flight was answered to its end", report["stream"] == 2)
        holds(f"some of {CONTACTS} contacts were acknowledged before the end", report["counted"] > 0)
        counted = self._counted() - before
        # One whose answer was cut off may have been counted: never the other way round.
        holds(
            f"{report['counted']} acknowledged, {report['cut']} cut off, {counted} counted: none is lost",
            report["counted"] <= counted <= report["counted"] + report["cut"],
        )

    def _becomes_ready(self, serving: subprocess.Popen[bytes], log: Path) -> None:
        asks = json.loads(
            (ROOT / "Dockerfile").read_text().split("HEALTHCHECK", 1)[1].split("CMD ", 1)[1].splitlines()[0]
        )
        for _ in range(120):
            if serving.poll() is not None:
                sys.exit(f"It does not start:\n{log.read_text()[-3000:]}")
            found = subprocess.run([*self._runc, "exec", "serves", *asks], capture_output=True, check=False)
            if found.returncode == 0:
                break
            time.sleep(0.5)
        holds("the health check of the Dockerfile passes", found.returncode == 0)

    def _is_shut_in(self) -> None:
        status = self.inside("print(open('/proc/1/status').read())").stdout
        found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        holds("process 1 is user 10001", found["Uid"].split() == [str(USER)] * 4)
        holds("it has no capability", int(found["CapEff"], 16) == int(found["CapBnd"], 16) == 0)
        holds("it can gain no privileges", found["NoNewPrivs"] == "1")
        for place in ("/", "/opt/imdlens", "/data", "/etc", "/usr/bin"):
            tried = self.inside(f"open('{place}/x', 'w')")
            holds(f"nothing can be written to {place}", "Read-only file system" in tried.stderr)
        holds("/tmp and /counts can be", self.inside("open('/tmp/x', 'w'); open('/counts/x', 'w')").returncode == 0)

    def _counted(self) -> int:
        listed = json.loads(self.run("counts", "show", "--json") or "[]")
        return sum(
            int(json.loads(self.run("counts", "show", "--month", m["month"], "--json"))["total"]) for m in listed
        )


if __name__ == "__main__":
    main()
