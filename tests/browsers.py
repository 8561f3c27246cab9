"""Headless Chromium for the tests of pages, and what they do with the page of a trace."""

import contextlib
import shutil
import tempfile
import time

import pytest


@contextlib.contextmanager
def chromium(width, height):
    """An opened browser that keeps what its console says; where there is none the test is skipped."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for argument in (
            "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
            f"disable-component-update disable-sync window-size={width},{height} user-data-dir={profile}"
        ).split():
            options.add_argument(f"--{argument}")
        opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        yield opened
        opened.quit()


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "the page did not get there"
        time.sleep(0.05)


def press(page, key):
    page.execute_script(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0], bubbles: true}))", key
    )


def opened(browser, path):
    browser.get(f"file://{path}")
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "yes")
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    until(lambda: all(plots_drawn(browser)))


def plots_drawn(browser):
    return browser.execute_script(
        "return ['curves', 'map', 'saturation'].map((id) => document.querySelectorAll(`#${id} .main-svg`).length > 0)"
    )


def text_of(page, name):
    return page.execute_script("return document.getElementById(arguments[0]).textContent", name).replace("−", "-")
