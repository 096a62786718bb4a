"""An approver who has never seen the Temporal UI: reads the details, asks for a code, pastes it."""

import json
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from playwright.async_api import Browser, Page, async_playwright, expect

from holdfast.domain.gates import Gate
from tests import signing
from tests.browser.chromium import CHROMIUM, FLAGS
from tests.fakes import eventually
from tests.server import start_server
from tests.workflows.conftest import PEOPLE, House, Run, open_house
from workers.processes import free_port

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page of somebody who has never been here: it shares no cookies and no storage with the others."""
    page = await browser.new_page(viewport={"width": 1400, "height": 1300})
    yield page
    await page.close()


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[House, str]]:
    """A server with its UI, workers, and the UI's address; each test has a runbook and a run of its own."""
    directory, port = tmp_path_factory.mktemp("runbooks"), free_port()
    (directory / "rollout").mkdir()
    (directory / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    async with (
        await start_server(ui=True, ui_port=port) as server,
        open_house(server.client, directory) as house,
    ):
        yield house, f"http://127.0.0.1:{port}"


async def open_dialog(page: Page, kind: str, name: str) -> None:
    await page.get_by_role("button", name="More Actions").first.click()
    await page.locator("[role=menuitem]:visible", has_text=f"Send {kind}").first.click()
    select = "update-select-button" if kind == "an Update" else "signal-select-button"
    await page.locator(f"[data-testid={select}]:visible").click()
    await page.locator("[role=option]:visible", has_text=re.compile(rf"^\s*{name}\b")).first.click()


async def send(page: Page, kind: str, pasted: str, *, name: str = "decide") -> None:
    await open_dialog(page, kind, name)
    if pasted:
        await page.locator(".cm-content:visible").last.click()
        await page.keyboard.insert_text(pasted)
        # The editor reformats when it loses the focus, and moves the button: leave it before clicking.
        await page.get_by_text("Single JSON payload supported").locator("visible=true").first.click()
    await page.locator("button:visible", has_text="Submit").last.click()


async def opened(page: Page, ui: str, run: Run) -> None:
    await page.goto(f"{ui}/namespaces/default/workflows/{run.handle.id}")
    await page.get_by_text("User Metadata").first.click()


def in_private_chat(house: House, run: Run) -> str:
    """The newest JSON that the bot has sent to somebody about this run."""
    return next((said.paste for said in reversed(house.private.said) if run.handle.id in said.text), "")


async def test_the_details_say_where_the_run_stands_and_how_to_answer(
    page: Page, served: tuple[House, str]
) -> None:
    house, ui = served
    run = await house.start(house.write())
    gate = await run.gate()
    await opened(page, ui, run)
    frame = page.frame_locator("iframe").last
    await expect(frame.get_by_text("WAITING FOR A DECISION")).to_be_visible()
    await expect(frame.get_by_text("send_code").first).to_be_visible()
    await expect(frame.get_by_text(gate.evidence).first).to_be_visible()
    await expect(frame.get_by_text("Widen the pool")).to_be_visible()
    await run.handle.terminate()


async def test_a_code_asked_for_in_the_ui_comes_to_the_private_chat_and_its_json_is_accepted(
    page: Page, served: tuple[House, str]
) -> None:
    house, ui = served
    run = await house.start(house.write())
    await run.gate()
    await opened(page, ui, run)
    await send(page, "an Update", '{"by": "boris"}', name="send_code")
    pasted = await eventually(lambda: in_private_chat(house, run))
    await page.reload()
    await send(page, "an Update", pasted)
    assert (await run.gate(lambda g: g.id == "2-pool")).id == "2-pool"
    [decision] = (await run.view()).closed_gates[0].decisions
    assert (decision.by, decision.channel, decision.proofs) == ("boris", "temporal-ui", ("code",))
    await run.handle.terminate()


def forged(run: Run, gate: Gate) -> str:
    return json.dumps({"gate": gate.id, "decision": "approve", "by": "boris"})


def strangers(run: Run, gate: Gate) -> str:
    return json.dumps(signing.pasted(signing.decision(run.handle.id, gate, "mallory")))


def old(run: Run, gate: Gate) -> str:
    past = datetime.now(UTC) - timedelta(minutes=1)
    return json.dumps(signing.pasted(signing.decision(run.handle.id, gate, "boris", expires_at=past)))


def for_another(run: Run, gate: Gate) -> str:
    code = signing.pasted(signing.decision(run.handle.id, gate, "vera"))
    return json.dumps(code | {"by": "boris"})


def no_json(run: Run, gate: Gate) -> str:
    return '"approve"'


def nothing(run: Run, gate: Gate) -> str:
    return ""


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (forged, "needs your own approval code"),
        (strangers, "'mallory' is not an approver"),
        (old, "The approval code was good until"),
        (for_another, "The approval code is not boris's"),
        (no_json, "A decision is a JSON object"),
        (nothing, "A decision is a JSON object"),
    ],
)
async def test_a_refused_update_tells_the_approver_why_and_harms_nothing(
    page: Page, served: tuple[House, str], wrong: Callable[[Run, Gate], str], says: str
) -> None:
    house, ui = served
    run = await house.start(house.write())
    gate = await run.gate()
    await opened(page, ui, run)
    await send(page, "an Update", wrong(run, gate))
    await expect(page.get_by_text(says).locator("visible=true").first).to_be_visible()
    assert "Traceback" not in await page.content()
    assert 'File "/' not in await page.content()
    await run.answer(gate=gate)
    assert (await run.gate(lambda g: g.id == "2-pool")).id == "2-pool"
    await run.handle.terminate()


async def test_a_signal_is_answered_in_the_details_and_in_the_private_chat(
    page: Page, served: tuple[House, str]
) -> None:
    house, ui = served
    run = await house.start(house.write())
    gate = await run.gate()
    await opened(page, ui, run)
    await send(page, "a Signal", old(run, gate))
    await eventually(
        lambda: any(
            s.person == "boris" and run.handle.id in s.text and "did not count" in s.text
            for s in house.private.said
        )
    )
    await page.reload()  # the page shows details as of when it was opened
    frame = page.frame_locator("iframe").last
    await expect(frame.get_by_text("The approval code was good until").first).to_be_visible()
    await run.handle.terminate()


@pytest.mark.parametrize("pasted", ["", '{"gate": 1}'])
async def test_a_wrong_signal_wedges_nothing_and_is_named_in_the_timeline(
    page: Page, served: tuple[House, str], pasted: str
) -> None:
    house, ui = served
    run = await house.start(house.write())
    await run.gate()
    await opened(page, ui, run)
    await send(page, "a Signal", pasted)

    async def told() -> bool:
        return any("did not count" in line.text for line in (await run.view()).log)

    await eventually(told)
    await page.reload()  # the page shows details as of when it was opened
    frame = page.frame_locator("iframe").last
    await expect(frame.get_by_text("a signalled decision did not count").first).to_be_visible()
    await run.answer()
    await run.gate(lambda g: g.id == "2-pool")
    await run.handle.terminate()
