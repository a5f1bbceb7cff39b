"""Where figures were measured, so that they can be compared."""

from __future__ import annotations

import datetime
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import django
import psycopg

from benchmarks.server import Server

DURABILITY = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers")


def describe(server: Server) -> dict[str, str]:
    """Return what the figures depend on: machine, versions, settings of the server, and the date."""
    with psycopg.connect(server.address) as connection:
        version = connection.execute("SHOW server_version").fetchall()[0][0]
        settings = [f"{name} {connection.execute(f'SHOW {name}').fetchall()[0][0]}" for name in DURABILITY]
    return {
        "Date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "Processor": f"{_processor()}; {os.cpu_count()} cores, which the server and the clients share",
        "Memory": f"{_memory():.0f} GB",
        "Operating system": _system(),
        "Storage": _storage(server.directory) if server.directory else "that of the server given",
        "PostgreSQL": f"{version.split()[0]}; {', '.join(settings)}",
        "Python": platform.python_version(),
        "Django": django.get_version(),
        "psycopg": f"{psycopg.__version__}, {psycopg.pq.__impl__}",
    }


def _processor() -> str:
    return _line_after("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3


def _system() -> str:
    name = (_line_after("/etc/os-release", "PRETTY_NAME", "=") or "").strip('"')
    return ", ".join(part for part in (name, f"{platform.system()} {platform.release()}") if part)


def _line_after(path: str, name: str, sign: str = ":") -> str | None:
    file = Path(path)
    lines: Iterator[str] = iter(file.read_text().splitlines() if file.exists() else ())
    return next((line.partition(sign)[2].strip() for line in lines if line.startswith(name)), None)


def _storage(directory: Path) -> str:
    path, times = directory / "synced_write", []
    with path.open("wb", buffering=0) as file:
        for _ in range(200):
            started = time.perf_counter()
            file.seek(0)
            file.write(bytes(8192))
            os.fsync(file.fileno())
            times.append(time.perf_counter() - started)
    path.unlink()
    return f"a synced write of 8 kB takes {median(times) * 1_000_000:.0f} µs"
