#!/usr/bin/env python3
"""Asterisk's app_amd and Outdial on the same calls over SIP, in one run.

A simulated carrier answers each call with one recording of people or machines; Asterisk calls all
of them with AMD() by its sample configuration, Outdial with `detection`. Printed is who was told
right, and when. Asterisk runs in a directory of its own, such as

    debootstrap --variant=minbase --include=asterisk,asterisk-modules sid DIR http://deb.debian.org/debian

    sudo scripts/compare-amd.py --asterisk DIR --data ../shared/data/callee-type
"""

import argparse
import concurrent.futures
import csv
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

SIP_CARRIER, SIP_ASTERISK, SIP_OUTDIAL = 25070, 25080, 25090
CONFIG = "etc/asterisk-compare"
# Plays nothing and leaves who answered to be found out.
SCRIPT = """<?xml version="1.0"?><vxml version="2.0" xmlns="http://www.w3.org/2001/vxml">
<form><field name="key" type="digits?length=1"><property name="timeout" value="9s"/>
<noinput><exit/></noinput></field></form></vxml>"""
ASTERISK = {
    "asterisk.conf": "[directories]\nastetcdir => /{config}\n[options]\nverbose = 3\n",
    "modules.conf": "[modules]\nautoload = yes\nnoload = chan_iax2.so\nnoload = res_hep.so\n"
    "noload = cdr_csv.so\nnoload = pbx_ael.so\nnoload = pbx_dundi.so\nnoload = chan_unistim.so\n",
    "logger.conf": "[general]\ndateformat = %F %T.%3q\n[logfiles]\nmessages.log => notice\n",
    "rtp.conf": "[general]\nrtpstart = 31000\nrtpend = 31999\n",
    "amd.conf": None,
    "pjsip.conf": "[transport]\ntype = transport\nprotocol = udp\nbind = 127.0.0.1:{asterisk}\n"
    "[carrier]\ntype = endpoint\ncontext = none\ndisallow = all\nallow = ulaw\naors = carrier\n"
    "[carrier]\ntype = aor\ncontact = sip:127.0.0.1:{carrier}\n",
    "extensions.conf": "[amd]\nexten => _X.,1,Answer()\n same => n,AMD()\n"
    " same => n,Log(NOTICE,AMDSAID ${{EXTEN}} ${{AMDSTATUS}} ${{AMDCAUSE}})\n"
    " same => n,Hangup()\n",
}


def recordings(data):
    with open(data / "manifest.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in ("human", "machine")]
    for nth, row in enumerate(rows):
        row["number"] = f"1555{nth + 1:07}"
    return rows


def wait_for(what, look, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    sys.exit(f"{what}: not within {seconds} s")


def start(directory, *command):
    log = open(directory / f"{pathlib.Path(command[0]).name}.{len(command)}.log", "wb")
    return subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)


def start_carrier(program, directory, rows, data):
    with open(directory / "habits.toml", "w") as file:
        for row in rows:
            path = (data / row["file"]).resolve()
            file.write(f"[[callee]]\nnumber = '{row['number']}'\ndoes = ['plays']\n"
                       f"plays = '{path}'\nring_after_ms = 20\nring_ms = 20\n")
    process = start(directory, program, "lab", "carrier", "--bind", f"127.0.0.1:{SIP_CARRIER}",
                    "--habits", "habits.toml", "--ready-file", "carrier.ready",
                    "--rtp-ports", "33000", "33999")
    wait_for("the carrier is up", (directory / "carrier.ready").exists)
    return process


def asterisk(root, command):
    full = ["chroot", str(root), "asterisk", "-C", f"/{CONFIG}/asterisk.conf", "-rx", command]
    return subprocess.run(full, capture_output=True, text=True).stdout


def by_asterisk(root, rows, at_once):
    config = root / CONFIG
    shutil.rmtree(config, ignore_errors=True)
    shutil.copytree(root / "etc/asterisk", config)
    for name, text in ASTERISK.items():
        if text:
            values = {"config": CONFIG, "carrier": SIP_CARRIER, "asterisk": SIP_ASTERISK}
            (config / name).write_text(text.format(**values))
    log = root / "var/log/asterisk/messages.log"
    log.unlink(missing_ok=True)
    process = subprocess.Popen(
        ["chroot", str(root), "asterisk", "-f", "-C", f"/{CONFIG}/asterisk.conf"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for("Asterisk is up", lambda: "carrier" in asterisk(root, "pjsip show endpoints"))
        asterisk(root, "core waitfullybooted")
        version = subprocess.run(["chroot", str(root), "asterisk", "-V"],
                                 capture_output=True, text=True).stdout.strip()
        said, waiting, live = {}, list(rows), {}

        def look():
            for line in log.read_text(errors="replace").splitlines() if log.exists() else []:
                if "AMDSAID" in line:
                    _, rest = line.split("AMDSAID ", 1)
                    number, status, cause = (rest.split() + ["", ""])[:3]
                    said[number] = (status, cause)
                    live.pop(number, None)

        while waiting or live:
            while waiting and len(live) < at_once:
                number = waiting.pop(0)["number"]
                asterisk(root, f"channel originate PJSIP/{number}@carrier extension {number}@amd")
                live[number] = time.monotonic()
            time.sleep(0.2)
            look()
            for number in [n for n, since in live.items() if time.monotonic() - since > 30]:
                live.pop(number)
        return version, said
    finally:
        process.terminate()
        process.wait(20)


def by_outdial(program, directory, rows, at_once):
    (directory / "outdial.toml").write_text(
        "[api]\nlisten = \"127.0.0.1:0\"\n"
        "[rtp]\nbind = \"127.0.0.1\"\nport_min = 35000\nport_max = 35999\n"
        f"[sip]\nbind = \"127.0.0.1:{SIP_OUTDIAL}\"\n"
        f"[[trunk]]\nname = \"carrier\"\nhosts = [\"127.0.0.1:{SIP_CARRIER}\"]\n"
        f"allow_loopback = true\nslots = {at_once}\ncalls_per_second = 5\n")
    made = subprocess.run([program, "account", "create", "compare", "--json"], cwd=directory,
                          capture_output=True, text=True, check=True)
    key = json.loads(made.stdout)["api_key"]
    process = start(directory, program, "serve", "--ready-file", "serve.ready")
    try:
        wait_for("Outdial is up", (directory / "serve.ready").exists)
        api = json.loads((directory / "serve.ready").read_text())["api"]

        def ask(path, body=None):
            head = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            body = json.dumps(body).encode() if body else None
            request = urllib.request.Request(f"http://{api}{path}", body, head)
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)

        ids = {}
        for row in rows:
            call = {"number": row["number"], "document": SCRIPT, "detection": {}}
            ids[row["number"]] = ask("/v1/calls", call)["id"]

        def result(number):
            def look():
                call = ask(f"/v1/calls/{ids[number]}")
                return call if call["state"] in ("completed", "failed") else None
            call = wait_for("a call ends", look, 1_200)
            told = [e["detail"] for e in call["events"] if e["kind"] == "callee_detected"]
            return number, (call["callee_type"] or call["outcome"], told)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return dict(pool.map(result, [row["number"] for row in rows]))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def outdial_time(told):
    last = told[-1] if told else ""
    return int(last.split(" after ")[1].split()[0]) / 1_000 if " after " in last else None


def show(rows, amd, ours):
    print(f"{'':34} {'app_amd':>16} {'Outdial':>16}   decided, median / p95 (Outdial)")
    groups = [(label, None) for label in ("human", "machine")]
    groups += sorted({(row["label"], row["sublabel"]) for row in rows})
    for label, sublabel in groups:
        some = [r for r in rows if r["label"] == label and sublabel in (None, r["sublabel"])]
        right_amd = sum(amd.get(r["number"], ("", ""))[0].lower() == label for r in some)
        right = [r for r in some if ours[r["number"]][0] == label]
        times = sorted(t for r in right if (t := outdial_time(ours[r["number"]][1])) is not None)
        name = label if sublabel is None else f"  {label} {sublabel}"
        when = ""
        if times:
            p95 = times[min(len(times) - 1, round(0.95 * (len(times) - 1)))]
            when = f"{statistics.median(times):.1f} / {p95:.1f} s"
        share = lambda n: f"{n:3}/{len(some):3} {100 * n / len(some):5.1f} %"
        print(f"{name:34} {share(right_amd):>16} {share(len(right)):>16}   {when}")
    causes = {}
    for status, cause in amd.values():
        key = f"{status} {cause.split('-')[0]}"
        causes[key] = causes.get(key, 0) + 1
    print("app_amd said:", ", ".join(f"{k} {v}" for k, v in sorted(causes.items())))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--asterisk", type=pathlib.Path, required=True)
    options.add_argument("--data", type=pathlib.Path, default="../shared/data/callee-type")
    options.add_argument("--outdial", default="target/release/outdial")
    options.add_argument("--calls", type=int, default=12, help="calls at once")
    options.add_argument("--some", type=int, default=1, help="every so many recordings")
    options.add_argument("--json", type=pathlib.Path)
    options = options.parse_args()
    program = str(pathlib.Path(options.outdial).resolve())
    rows = recordings(options.data)[:: options.some]
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        carrier = start_carrier(program, directory, rows, options.data)
        try:
            version, amd = by_asterisk(options.asterisk, rows, options.calls)
            ours = by_outdial(program, directory, rows, options.calls)
        finally:
            carrier.terminate()
            carrier.wait(20)
    print(f"{version}, sample amd.conf; load {os.getloadavg()[0]:.1f}; {len(rows)} calls each")
    show(rows, amd, ours)
    if options.json:
        all_rows = [{"file": r["file"], "label": r["label"], "sublabel": r["sublabel"],
                     "app_amd": amd.get(r["number"]), "outdial": ours[r["number"]]} for r in rows]
        options.json.write_text(json.dumps(all_rows, indent=1))


if __name__ == "__main__":
    main()
