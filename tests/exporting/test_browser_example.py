"""The browser demonstration, in headless Chromium: LiteRT.js against the equations, and what a visitor does."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from browsers import chromium, press, until
from reference import lstm

EXAMPLE = Path(__file__).parents[2] / "examples" / "browser"
sys.path.insert(0, str(EXAMPLE))

import build  # noqa: E402
import strokes  # noqa: E402

from keras_lstm_gates.steering import Scale, Shift, steer  # noqa: E402


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site of a model that has hardly learnt, and the model."""
    model = build.train(count=64, epochs=1, units=8)
    folder = tmp_path_factory.mktemp("site") / "browser"
    try:
        # Where `build.py` has been run, npm need not fetch it again.
        known = Path("runs/browser_npm")
        if known.is_dir():
            shutil.copytree(known, folder.parent / "browser_npm")
        build.build(model, folder)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"npm could not fetch LiteRT.js: {error.stderr.strip()[-200:]}")
    return folder, model


@pytest.fixture(scope="module")
def page(site):
    """Headless Chromium on the served site, ready."""
    with chromium(1100, 1000) as opened, build.server(site[0], 0) as server:
        opened.set_script_timeout(60)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opened.get(f"http://localhost:{server.server_port}/?still")
        until(lambda: opened.execute_script("return document.documentElement.dataset.ready") == "yes")
        until(lambda: opened.execute_script(f"return {STATE}.cursor") > 0)
        yield opened
        server.shutdown()


STATE = "window.demonstration.state"


def test_gates_agree_with_the_equations_and_outputs_with_keras(page, site):
    _, model = site
    directions = strokes.steps(strokes.stroke("heart", np.random.default_rng(5)))
    frames = page.execute_async_script(
        "const done = arguments[1]; demonstration.run(arguments[0]).then(done)", directions.astype(float).tolist()
    )
    received = {name: np.array([frame[name] for frame in frames]) for name in frames[0]}
    expected = lstm(directions[None], *model.get_layer("lstm").get_weights())
    assert sorted(received) == sorted([*"ifgoch", "probabilities"])
    for name in "ifgoch":
        np.testing.assert_allclose(received[name], expected[name][0], atol=1e-4, err_msg=name)
    np.testing.assert_allclose(received["probabilities"], model.predict(directions[None], verbose=0)[0], atol=1e-4)


def test_a_gate_that_is_turned_is_what_steering_makes_of_it(page, site):
    """f of the units 2 to 4 by its two sliders: every gate of the stroke as `steer` has it, and back."""
    _, model = site
    slide = """
        for (const [label, value] of Object.entries(arguments[0])) {
            const input = document.querySelector(`[aria-label="${label}"], #${CSS.escape(label)}`);
            input.value = value;
            input.dispatchEvent(new Event("input", {bubbles: true}));
        }
    """
    page.execute_script(slide, {"turned-first": 2, "turned-last": 4, "Scale of f": 0.5, "Shift of f": 0.1})
    directions = strokes.steps(strokes.stroke("heart", np.random.default_rng(5)))
    run = "const done = arguments[1]; demonstration.run(arguments[0]).then(done)"
    frames = page.execute_async_script(run, directions.astype(float).tolist())
    steered = steer(model, {"lstm/f": [Scale(0.5, units=slice(2, 5)), Shift(0.1, units=slice(2, 5))]})
    expected = steered.predict(directions[None], verbose=0)
    for name in [*"ifgoch", "probabilities"]:
        path = name if name == "probabilities" else f"lstm/{name}"
        np.testing.assert_allclose([frame[name] for frame in frames], expected[path][0], atol=1e-5, err_msg=name)
    page.execute_script("document.getElementById('untouched').click()")
    frames = page.execute_async_script(run, directions.astype(float).tolist())
    plain = model.predict(directions[None], verbose=0)[0]
    np.testing.assert_allclose([frame["probabilities"] for frame in frames], plain, atol=1e-5)


def test_keys(page):
    press(page, "2")
    until(lambda: page.execute_script(f"return {STATE}.shape") == strokes.SHAPES[1])
    until(lambda: page.execute_script(f"return {STATE}.playing && {STATE}.cursor > 1"))
    press(page, " ")
    assert not page.execute_script(f"return {STATE}.playing")
    at = page.execute_script(f"return {STATE}.cursor")
    for key, step in (("ArrowRight", at + 1), ("ArrowLeft", at), ("Home", 0)):
        press(page, key)
        until(lambda step=step: page.execute_script(f"return {STATE}.cursor") == step)
    unit = page.execute_script(f"return {STATE}.unit")
    press(page, "ArrowDown")
    assert page.execute_script(f"return {STATE}.unit") != unit
    press(page, "c")
    assert page.execute_script("return document.querySelector('#gates [aria-pressed=true]').value") == "c"


def test_the_unit_shows_the_numbers_of_its_step(page):
    page.execute_async_script("const done = arguments[0]; demonstration.goTo(3).then(done)")
    # In one script, as the page may play on; and it draws a moment later.
    numbers_and_shown = f"""
        const {{frames, cursor, unit}} = {STATE};
        const texts = [...document.querySelectorAll('#drawing text.numbers')].map((one) => one.textContent);
        return [[...'fiogc'].map((gate) => frames[cursor][gate][unit].toFixed(2).replace('-', '−')), texts]
    """

    def agree():
        numbers, shown = page.execute_script(numbers_and_shown)
        return {number.replace("−0.00", "0.00") for number in numbers} <= set(shown)

    until(agree)


def test_a_pointer_draws(page):
    """A pull to the right, then down: as many steps as fit, in those directions."""
    from selenium.webdriver import ActionChains

    pad = page.find_element("id", "pad")
    side = pad.size["width"]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", pad)
    draw = ActionChains(page, duration=50).move_to_element_with_offset(pad, int(-0.3 * side), int(-0.3 * side))
    draw.click_and_hold().move_by_offset(int(0.6 * side), 0).move_by_offset(0, int(0.4 * side)).release().perform()
    until(lambda: page.execute_script(f"return {STATE}.frames.length === {STATE}.directions.length"))
    directions = np.array(page.execute_script(f"return {STATE}.directions"))
    assert abs(len(directions) - 1.0 / strokes.STEP) <= 2
    np.testing.assert_allclose(directions[:14], np.tile([1, 0], (14, 1)), atol=1e-6)
    np.testing.assert_allclose(np.hypot(*directions.T), 1, atol=1e-6)
    assert directions[-1, 1] > 0.9


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1100, "dark")])
def test_phone_and_dark(page, width, scheme):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    until(lambda: page.execute_script("return document.documentElement.scrollWidth") <= width)
    paper = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    light = sum(int(part) for part in paper[4:-1].split(",")) / 3
    assert light < 60 if scheme == "dark" else light > 200
    narrow = page.execute_script("return document.getElementById('drawing').getAttribute('viewBox')").startswith(
        "0 0 400 "
    )
    assert narrow == (width < 600)


def test_reduced_motion_plays_nothing_by_itself(page):
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    )
    page.execute_script("document.querySelectorAll('#guesses button')[2].click()")
    count = f"{STATE}.directions.length"
    until(
        lambda: page.execute_script(f"return {STATE}.shape === '{strokes.SHAPES[2]}' && {STATE}.cursor === {count} - 1")
    )
    assert not page.execute_script(f"return {STATE}.playing")
    assert page.execute_script("return getComputedStyle(document.querySelector('.drops')).animationName") == "none"


def test_steps_of_a_straight_line():
    """Without a browser: equal steps, in the line's direction, and none for what is left over."""
    assert strokes.steps(np.array([[0.1, 0.1], [0.1, 0.19]])).tolist() == [[0.0, 1.0], [0.0, 1.0]]
    assert strokes.steps(np.array([[0.5, 0.5]])).shape == (0, 2)
    assert len(strokes.steps(np.array([[0.0, 0.0], [100.0, 0.0]]))) == strokes.LONGEST
