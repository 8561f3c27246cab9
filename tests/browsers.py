"""Headless Chromium for the tests of pages."""

import contextlib
import shutil
import tempfile

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
