"""Somebody at a dashboard, as a test moves them."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import settle


class Person:
    """Somebody at a dashboard of their own."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._context = browser.new_context(viewport={"width": 1440, "height": 1200})
        self.page: Page = self._context.new_page()
        self._url = url

    def open(self, path: str) -> None:
        self.page.goto(self._url + path)
        settle(self.page)

    def press(self, name: str, within: float = 60_000) -> None:
        button = self.page.get_by_role("button", name=re.compile(re.escape(name)))
        expect(button.first).to_be_enabled(timeout=within)
        button.first.click()
        settle(self.page)

    def write(self, label: str, text: str) -> None:
        field = self.page.get_by_role("textbox", name=label, exact=True)
        field.fill(text)
        field.press("Tab")
        settle(self.page)

    def sees(self, text: str, within: float = 60_000) -> None:
        found = self.page.get_by_test_id("stMainBlockContainer").get_by_text(text)
        expect(found.first).to_be_visible(timeout=within)

    def do(self, effect: str, yes: str, label: str = "", text: str = "") -> None:
        """Press a button, say why, and press the second one."""
        self.press(effect)
        if label:
            self.write(label, text)
        self.press(yes)

    def close(self) -> None:
        expect(self.page.get_by_test_id("stException")).to_have_count(0)
        self._context.close()
