"""A real browser: Chromium, driven over WebDriver (https://www.w3.org/TR/webdriver2/) with nothing but its own driver."""

import json
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.request

from tintype import HANG

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A server that is reached by plain HTTP is asked by plain HTTP.
    "--disable-features=HttpsUpgrades,HttpsFirstBalancedMode",
]


class Browser:
    """One browser with a profile of its own."""

    def __init__(self, profile, arguments=()):
        self.log_path = profile.with_name(profile.name + ".log")
        log = open(self.log_path, "wb")
        self.driver = subprocess.Popen(
            [shutil.which("chromedriver") or "chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        # A driver that never says a word must not hang the test.
        watchdog = threading.Timer(60, self.driver.kill)
        watchdog.start()
        try:
            said = ""
            for line in self.driver.stdout:
                said += line
                if match := re.search(r"started successfully on port (\d+)", line):
                    break
            else:
                raise AssertionError(f"chromedriver said {said!r}")
            self.base = f"http://127.0.0.1:{match[1]}"
            options = {
                "binary": shutil.which("chromium"),
                "args": [*ARGUMENTS, f"--user-data-dir={profile}", *arguments],
            }
            capabilities = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
            session = self._ask("POST", "/session", {"capabilities": capabilities})
            self.base += f"/session/{session['sessionId']}"
        except BaseException:
            self.driver.kill()
            raise
        finally:
            watchdog.cancel()

    def close(self):
        try:
            self._ask("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(30)
            self.driver.stdout.close()

    def _ask(self, method, path, body=None):
        request = urllib.request.Request(
            self.base + path,
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=HANG) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()}") from None

    def open(self, url):
        self._ask("POST", "/url", {"url": url})

    @property
    def url(self):
        return self._ask("GET", "/url")

    def find(self, selector):
        """The first element, which must be there."""
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        return found[ELEMENT]

    def text(self, selector):
        """The text of the first element; none while the page has no such element."""
        return self.run(f"return document.querySelector({json.dumps(selector)})?.textContent ?? null")

    def type(self, selector, text):
        self._ask("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def click(self, selector):
        """Clicks; WebDriver waits for the page that a click leads to."""
        self._ask("POST", f"/element/{self.find(selector)}/click", {})

    def cookies(self):
        return {cookie["name"]: cookie["value"] for cookie in self._ask("GET", "/cookie")}

    def run(self, script):
        """The value that a script of the page comes to."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": []})
