#!/usr/bin/env python3
"""An application of every action: a reminder that asks for a number, takes a message, connects with
somebody who may refuse, and ends in a conference; what is said is written down meanwhile.

Start it with a port, then make an outbound service whose first page is http://HOST:PORT/first,
whose final page is /final and whose error page is /error; docs/api/aculab.md says how. It needs
nothing but Python's own library, and prints one line for each page that it is asked for.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


# Who is connected with callees; the service needs an extra channel for him.
AGENT = "+15550100777"


def say(text):
    return {"play_list": [{"text_to_say": text}]}


def page(url):
    return {"url": url}


def first(_):
    return [
        {"answer": {}},
        {"start_transcription": {"results_page": page("said"), "id": "reminder"}},
        {"play": {"play_list": [{"text_to_say": "Hello."}, {"digits_to_play": "1"}]}},
        {"redirect": {"next_page": page("menu")}},
    ]


def menu(_):
    options = [
        {"digit": "1", "next_page": page("number")},
        {"digit": "2", "next_page": page("message")},
    ]
    return [{"run_menu": {"prompt": say("Press one or two."), "menu_options": options}}]


def number(_):
    return [
        {
            "get_number": {
                "prompt": say("Your order number?"),
                "digit_count": 4,
                "next_page": page("got_number"),
            }
        }
    ]


def got_number(result):
    return [
        {"play": say("Thank you for " + " ".join(result["entered_number"]))},
        {"send_digits": {"digits": "5#"}},
        {"sleep": {"seconds": 0.2}},
        {
            "get_input": {
                "prompt": say("How many?"),
                "speech_input_mode": "disabled",
                "next_page": page("got_input"),
            }
        },
    ]


def got_input(result):
    options = [
        {"word": "message", "digit": "5", "next_page": page("message")},
        {"word": "goodbye", "digit": "6", "next_page": page("goodbye")},
    ]
    prompt = say("You said " + result["digit_input"] + ". Five for a message, six for goodbye.")
    return [{"run_speech_menu": {"prompt": prompt, "menu_options": options}}]


def message(_):
    return [
        {
            "record": {
                "next_page": page("recorded"),
                "recording_available_page": page("available"),
                "beep_on_start": True,
                "seconds_max_duration": 20,
            }
        }
    ]


def recorded(result):
    actions = []
    if result["contains_sound"]:
        actions.append({"play": {"play_list": [{"file_to_play": result["filename"]}]}})
    return actions + [{"redirect": {"next_page": page("agent")}}]


def agent(_):
    """Somebody is called, and may listen to his own page before he talks with the callee."""
    return [
        {
            "connect": {
                "destinations": [AGENT],
                "hold_media": say("Please wait for our agent."),
                "seconds_answer_timeout": 40,
                "secondary_call": {
                    "first_page": page("whisper"),
                    "final_page": page("agent_final"),
                    "call_recording": True,
                },
                "next_page": page("meeting"),
            }
        }
    ]


def whisper(_):
    """The agent hears this: one takes the call, everything else leaves it."""
    options = [{"digit": "1", "next_page": page("accepted")}]
    prompt = say("A call about a reminder. Press one to take it.")
    return [{"run_menu": {"prompt": prompt, "menu_options": options}}, {"hang_up": {}}]


def meeting(_):
    return [
        {
            "conference": {
                "conference_name": "reminders",
                "exit_digits": "*",
                "next_page": page("audience"),
            }
        }
    ]


def audience(_):
    return [
        {
            "connect_to_conference": {
                "conference_name": "announcements",
                "talker": False,
                "exit_digits": "#",
                "next_page": page("goodbye"),
            }
        }
    ]


def goodbye(_):
    return [{"stop_transcription": {}}, {"play": say("Goodbye.")}, {"hang_up": {}}]


def nothing(_):
    return []


def sorry(_):
    return [{"play": say("Something is wrong here. Please call us back.")}]


PAGES = {
    "/first": first,
    "/menu": menu,
    "/number": number,
    "/got_number": got_number,
    "/got_input": got_input,
    "/message": message,
    "/recorded": recorded,
    "/available": nothing,
    "/said": nothing,
    "/agent": agent,
    "/whisper": whisper,
    "/accepted": nothing,
    "/agent_final": nothing,
    "/meeting": meeting,
    "/audience": audience,
    "/goodbye": goodbye,
    "/error": sorry,
    "/final": nothing,
}


class Application(BaseHTTPRequestHandler):
    """Answers each page with its actions."""

    def do_POST(self):
        info = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        result = info.get("action_result", {}).get("result", {})
        told = {"token": info["token"], "result": result, "call": info.get("this_call", {})}
        told["error"] = info.get("error_result", {})
        # In one piece: pages are asked for at the same time.
        sys.stdout.write(f"{self.path} {json.dumps(told)}\n")
        sys.stdout.flush()
        actions = PAGES.get(self.path, nothing)(result)
        body = json.dumps({"actions": actions, "token": "at " + self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Application)
    print("ready", flush=True)
    server.serve_forever()
