"""Makes something of everything that can be asked for, and writes down its ids and who may ask.

The directory that is named has the files of `ask.sh`; there go `url`, `known.json` and `schemathesis.toml`.
With --after it says what the server was doing at the end.
"""

import base64
import json
import pathlib
import re
import sys
import urllib.error
import urllib.request

home = pathlib.Path(sys.argv[1])
URL = "http://" + json.loads((home / "ready").read_text())["api"]
SECRETS = json.loads((home / "secrets.json").read_text())
KEY = f"Bearer {SECRETS['api_key']}"
PASSWORD = "correct horse"


def ask(method, path, body=None, authorization=KEY, content_type="application/json"):
    data = body if isinstance(body, bytes) else body and json.dumps(body).encode()
    headers = {"Authorization": authorization, "Content-Type": content_type}
    request = urllib.request.Request(URL + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        sys.exit(f"{method} {path}: {error.code} {error.read().decode()}")


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def prepare():
    page = f"http://127.0.0.1:{(home / 'page').read_text()}/start"
    user, service = f"1-2-0/{SECRETS['login']}", "reminders"
    calls = [
        ask("POST", "/v1/calls", {"number": f"+1212555010{n}", "say": "x", "campaign": "spring"})["id"] for n in range(4)
    ]
    campaign = ask("GET", "/v1/campaigns")["data"][0]["id"]
    ask("PATCH", f"/v1/campaigns/{campaign}/policy", {"recording": "mixed"})
    for number in [34, 35]:
        ask("POST", "/v1/deployments", {"name": f"d{number}", "id": number, "application_id": 12, "say": "x"})
    config = {"service_password": PASSWORD, "rest": {"first_page": {"address": page}}}
    for name in [service, "other"]:
        ask("PUT", f"/service/v1/outbound/{name}", config, basic(user, SECRETS["api_key"]))
    ask("POST", "/v1/lists/partners/numbers", {"numbers": ["+12125550199"]})
    webhook = ask("POST", "/v1/webhooks", {"url": page})["id"]
    form = b"\r\n".join([
        b'--x\r\nContent-Disposition: form-data; name="settings"\r\n\r\n{"campaign":"listed","say":"x"}',
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nnumber\n+12125550177\nnone\n',
        b"--x--\r\n",
    ])
    imported = ask("POST", "/v1/imports", form, content_type="multipart/form-data; boundary=x")["id"]
    known = {
        "login": SECRETS["login"], "pin": SECRETS["pin"], "page": page, "calls": calls, "campaign": campaign,
        "webhook": webhook, "import": imported, "list": "partners", "number": "+12125550199", "service": "other",
    }
    (home / "known.json").write_text(json.dumps(known))
    (home / "url").write_text(URL)
    (home / "schemathesis.toml").write_text(f"""
[auth.openapi.key]
bearer = "{SECRETS['api_key']}"
[auth.openapi.fuse]
username = "{SECRETS['login']}"
password = "{SECRETS['api_key']}"
[auth.openapi.aculab_user]
username = "{user}"
password = "{SECRETS['api_key']}"
[auth.openapi.aculab_service]
username = "{user}/{service}"
password = "{PASSWORD}"
# Whichever refusal it is: that the document has it is another check's.
[checks.negative_data_rejection]
expected-statuses = ["4xx"]
# Its scripts refuse with 200, as the document says; hooks.py looks at what they say.
[[operations]]
include-tag = "plum"
[operations.checks.negative_data_rejection]
expected-statuses = [200, "4xx"]
""")


def after():
    figures = urllib.request.urlopen(URL + "/metrics", timeout=60).read().decode()
    statuses = {}
    for line in figures.splitlines():
        found = re.match(r'outdial_http_requests_total\{.*status="(\d+)"\} (\d+)', line)
        if found:
            statuses[found[1]] = statuses.get(found[1], 0) + int(found[2])
    total = sum(statuses.values())
    print(f"{total} requests:", ", ".join(f"{status} {count}" for status, count in sorted(statuses.items())))
    print("\n".join(line for line in figures.splitlines() if line.startswith("outdial_calls{")))


after() if "--after" in sys.argv else prepare()
