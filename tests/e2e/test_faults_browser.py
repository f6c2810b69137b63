"""Work that was changed elsewhere, and files made to do harm, in a browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e_desk import SIZE, Desk, Server, until
from playwright.sync_api import Browser, BrowserContext, expect

from tests.crash.bad_nodes import workflow
from tests.patience import told

GRAPH = workflow(
    "Echo",
    {
        "text": {"type": "text_input", "config": {"default": "one"}, "position": [0, 0]},
        "out": {"type": "output", "position": [336, 0]},
    },
    "text.text>out.value",
    outputs={"said": ["out", "value"]},
)


# -- two at one workflow --------------------------------------------------------------------


def rename(desk: Desk, node: str, text: str) -> None:
    desk.node(node).locator(".rl-title").click()
    desk.page.keyboard.press("F2")
    desk.page.keyboard.press("Control+a")
    desk.page.keyboard.type(text)
    desk.page.keyboard.press("Enter")
    expect(desk.node(node).locator(".rl-title")).to_have_text(text)


def titles(rest: httpx.Client, made: str, revision: int | None = None) -> dict[str, str]:
    query = {"revision": revision} if revision else {}
    found = rest.get(f"/workflows/{made}", params=query).json()["graph"]["nodes"]
    return {node["id"]: node.get("title", "") for node in found}


def put(rest: httpx.Client, made: str, base: int, title: str) -> httpx.Response:
    graph = json.loads(json.dumps(GRAPH))
    graph["nodes"][1]["title"] = title
    return rest.put(f"/workflows/{made}", params={"base_revision": base}, json=graph)


@pytest.fixture
def made(rest: httpx.Client, desk: Desk) -> str:
    """A workflow that is open on a canvas."""
    made = str(rest.post("/workflows", json=GRAPH).json()["workflow_id"])
    desk.open_canvas(made)
    return made


def collide(desk: Desk, rest: httpx.Client, made: str, title: str) -> int:
    """Edit on the canvas, and save elsewhere before that is saved; the revision made there."""
    while True:
        base = rest.get(f"/workflows/{made}").json()["revision"]
        rename(desk, "text", title)
        answer = put(rest, made, base, "Theirs")
        if answer.status_code == 200:
            expect(desk.page.locator(".rl-save")).to_contain_text("Conflict")
            return int(answer.json()["revision"])
        # The canvas was faster.
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
        assert titles(rest, made)["out"] == ""
        title += "."


def test_what_is_saved_elsewhere_shows_on_an_open_canvas(
    desk: Desk, rest: httpx.Client, made: str
) -> None:
    assert put(rest, made, 1, "Theirs").status_code == 200
    expect(desk.node("out").locator(".rl-title")).to_have_text("Theirs")
    rename(desk, "text", "Mine")
    desk.saved()
    until(lambda: titles(rest, made) == {"text": "Mine", "out": "Theirs"})


def test_keeping_mine_makes_a_revision_on_top_of_theirs(
    desk: Desk, rest: httpx.Client, made: str
) -> None:
    theirs = collide(desk, rest, made, "Mine")
    state = desk.page.locator(".rl-save")
    rename(desk, "text", "Still mine")  # goes on, and overwrites nothing
    assert titles(rest, made)["out"] == "Theirs"
    state.get_by_role("button", name="Keep mine").click()
    desk.saved()
    assert titles(rest, made) == {"text": "Still mine", "out": ""}
    assert titles(rest, made, theirs)["out"] == "Theirs"
    # Whoever comes over REST with an older revision is refused in turn.
    refused = put(rest, made, theirs, "Late")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    rename(desk, "text", "Goes on")
    desk.saved()
    until(lambda: titles(rest, made)["text"] == "Goes on")


def test_loading_theirs_keeps_mine_in_undo(desk: Desk, rest: httpx.Client, made: str) -> None:
    other = Desk(desk.page.context.new_page(), desk.server)
    other.open_canvas(made)
    desk.page.bring_to_front()
    theirs = collide(desk, rest, made, "Mine")
    mine = desk.node("text").locator(".rl-title").inner_text()
    for one in (desk, other):  # whoever looks at it is asked
        expect(one.page.locator(".rl-save")).to_contain_text("Conflict")
    desk.page.locator(".rl-save").get_by_role("button", name="Load theirs").click()
    for one in (desk, other):
        expect(one.node("out").locator(".rl-title")).to_have_text("Theirs")
        expect(one.node("text").locator(".rl-title")).to_have_text("Text")
        one.saved()
    assert rest.get(f"/workflows/{made}").json()["revision"] == theirs
    desk.page.keyboard.press("Control+z")
    expect(desk.node("text").locator(".rl-title")).to_have_text(mine)
    desk.saved()
    until(lambda: titles(rest, made)["text"] == mine)
    other.page.close()
    assert other.errors == []


def test_two_tabs_edit_one_graph(desk: Desk, rest: httpx.Client, made: str) -> None:
    other = Desk(desk.page.context.new_page(), desk.server)
    other.open_canvas(made)
    rename(other, "text", "From one")
    desk.page.bring_to_front()
    rename(desk, "out", "From the other")
    for one in (desk, other):
        expect(one.node("text").locator(".rl-title")).to_have_text("From one")
        expect(one.node("out").locator(".rl-title")).to_have_text("From the other")
        one.saved()
    assert titles(rest, made) == {"text": "From one", "out": "From the other"}
    other.page.close()
    assert other.errors == []


def test_two_people_type_into_one_field_at_the_same_time(
    browser: Browser, desk: Desk, rest: httpx.Client, made: str
) -> None:
    state = desk.page.context.storage_state()
    for origin in state["origins"]:
        origin["localStorage"] = []  # somebody else
    context = browser.new_context(storage_state=state, viewport=SIZE, reduced_motion="reduce")
    ben = Desk(context.new_page(), desk.server)
    ben.open_canvas(made)
    fields = []
    for one in (desk, ben):
        expect(one.page.locator(".rl-face")).to_have_count(1)
        one.node("text").locator(".rl-title").click()
        fields.append(one.page.locator(".rl-inspector").get_by_label("Default", exact=True))
        fields[-1].click()
        one.page.keyboard.press("Control+a")
    mine, his = fields
    desk.page.keyboard.insert_text("of Ana")  # he types before it gets to him
    text = "of Ben, who types on while her change comes in"
    ben.page.keyboard.type(text, delay=40)
    for field in fields:
        expect(field).to_have_value(text)
    told(desk.page, "changed “Default” of “Text” just after you")
    # Whoever has the cursor in a field keeps it: no key falls through to the canvas.
    desk.page.keyboard.press("Control+End")
    desk.page.keyboard.type(" and back")
    expect(his).to_have_value(f"{text} and back")
    expect(his).to_be_focused()
    ben.page.keyboard.press("Control+End")
    ben.page.keyboard.press("Backspace")
    expect(mine).to_have_value(f"{text} and bac")
    ben.saved()
    context.close()
    assert ben.errors == []


# -- files made to do harm ------------------------------------------------------------------

IMG = "<img src=x onerror=hacked()>"
#: For names that may hold no “>”.
OPEN = "<img src=x onerror=hacked()//"
ALL = f"{IMG}\"'><svg onload=hacked()></svg><script>hacked()</script>" + (
    "{{constructor.constructor('hacked()')()}}"
)
NOTE = f'{ALL}\n\n[press](javascript:hacked()) ![x](x"onerror="hacked()) **{IMG}**'


def hostile() -> dict[str, Any]:
    """A workflow with HTML, scripts and template code wherever a text may stand."""
    graph: dict[str, Any] = workflow(
        ALL,
        {
            "text": {
                "type": "text_input", "title": ALL, "position": [0, 0],
                "config": {"name": IMG, "default": ALL},
            },
            "switch": {
                "type": "switch", "title": IMG, "position": [320, 0],
                "config": {"cases": [{"name": OPEN, "equals": ALL}]},
            },
            "prompt": {
                "type": "prompt", "title": ALL, "position": [640, 0],
                "config": {"template": IMG + "{{ texts[0] }}"},
            },
            "out": {
                "type": "output", "title": ALL, "position": [960, 0], "config": {"name": IMG},
            },
            "bad": {"type": "bad", "title": ALL, "position": [0, 260], "on_error": "continue"},
            "unknown": {"type": IMG, "title": ALL, "position": [320, 260], "disabled": True,
                        "config": {IMG: ALL}},
            "held": {
                "type": "placeholder", "title": ALL, "position": [640, 260], "disabled": True,
                "config": {"origin": "dify", "kind": IMG, "title": ALL, "data": {IMG: ALL},
                           "inputs": [OPEN], "outputs": [OPEN], "advice": ALL},
            },
        },
        f"text.text>switch.value switch.{OPEN}>prompt.texts prompt.prompt>out.value".replace(
            OPEN, "OPEN"
        ),
        outputs={IMG: ["out", "value"]},
        description=ALL,
        notes=[{"id": IMG, "x": 0, "y": 520, "text": NOTE, "colour": "red;background:url(x)"}],
        groups=[{"id": IMG, "title": ALL, "nodes": ["bad", "unknown"], "colour": IMG}],
        variables={IMG: ALL},
    )  # fmt: skip
    for edge in graph["edges"]:
        edge["key"] = edge["key"].replace("OPEN", OPEN)
    return graph


#: What none of the texts may become.
GROWN = """img[src="x"], [onerror], [onload], a[href^="javascript:"]"""
#: Tells of every such element the page ever had, and of everything that ran, however late.
WATCH = """
window.ran = 0
window.hacked = () => { window.ran += 1; console.error('it ran') }
new MutationObserver((changes) => {
  for (const { target, addedNodes } of changes) for (const node of [target, ...addedNodes]) {
    if (node.isConnected && node.matches?.(GROWN)) console.error(node.outerHTML)
    for (const found of addedNodes.length ? node.querySelectorAll?.(GROWN) ?? [] : [])
      console.error(found.outerHTML)
  }
}).observe(document, { subtree: true, childList: true, attributes: true })
""".replace("GROWN", json.dumps(GROWN))


class Watchman:
    """Looks whether anything ran that should have been text."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.page = desk, desk.page
        self.faults: list[str] = []
        self.page.add_init_script(WATCH)
        self.page.on(
            "console",
            lambda said: self.faults.append(said.text) if said.type == "error" else None,
        )
        self.page.on("dialog", lambda dialog: self.faults.append(f"dialog {dialog.message}"))

    def check(self, where: str) -> None:
        """Nothing ran, and nothing became an element."""
        self.desk.quiet(50)
        assert self.page.evaluate("window.ran") == 0, where
        made = self.page.evaluate(
            "(grown) => [...document.querySelectorAll(grown)].map((found) => found.outerHTML)",
            GROWN,
        )
        assert made == [], where
        assert self.faults == [], where
        assert self.desk.errors == [], where

    def look(self, path: str, words: str = "onerror") -> None:
        """Open a page that shows one of the texts."""
        self.desk.open(path)
        if words:
            expect(self.page.locator("body")).to_contain_text(words)
        self.check(path)


def fill(rest: httpx.Client) -> tuple[str, str]:
    """A knowledge base and a document with such names; the ids of both."""
    kb = rest.post("/knowledge_bases", json={"name": IMG, "description": ALL}).json()
    files = {"files": (f"{OPEN}.md", f"# Towers {IMG}\n\nThe tower {ALL} is 40 m high.".encode())}
    id_ = str(kb["knowledge_base_id"])
    done = rest.post(f"/knowledge_bases/{id_}/documents", files=files).json()
    return id_, str(done["document_id"])


def asking(kb: str) -> dict[str, Any]:
    """A workflow that answers from it."""
    return workflow(
        IMG,
        {
            "question": {"type": "question", "config": {"default": "How high is the tower?"}},
            "retrieve": {"type": "retrieve", "config": {"knowledge_base": kb}},
            "generate": {"type": "generate"},
            "answer": {"type": "answer_output"},
        },
        "question.query>retrieve.query question.query>generate.query "
        "retrieve.chunks>generate.chunks generate.answer>answer.answer",
        outputs={"answer": ["answer", "answer"]},
        description=ALL,
    )


def of_dify() -> dict[str, Any]:
    """An export of another system, as harmful."""
    start = {"type": "start", "title": ALL, "variables": [{"variable": IMG, "label": ALL}]}
    nodes = [
        {"id": "1", "position": {"x": 0, "y": 0}, "data": start},
        {"id": IMG, "position": {"x": 300, "y": 0}, "data": {"type": IMG, "title": ALL}},
    ]
    edges = [{"id": IMG, "source": "1", "target": IMG, "sourceHandle": IMG}]
    return {
        "kind": "app",
        "app": {"name": ALL, "mode": "workflow", "description": ALL},
        "workflow": {"graph": {"nodes": nodes, "edges": edges}},
    }


def take_file(desk: Desk, file: Path, text: str) -> None:
    """Give a file to the dialog that imports."""
    file.write_text(text)
    with desk.page.expect_file_chooser() as chooser:
        desk.page.get_by_text("Choose a workflow file").click()
    chooser.value.set_files(file)


def import_all(desk: Desk, watch: Watchman, folder: Path) -> str:
    """Import what is refused, what is reported, and at last a file of our own."""
    page = desk.page
    desk.open("/")
    page.get_by_role("button", name="Import").click()
    dialog = page.locator(".rl-dialog")
    deep = json.dumps(hostile()).replace('"red;', "[" * 5_000 + "1" + "]" * 5_000 + ', "red;')
    take_file(desk, folder / "deep.json", deep)
    expect(dialog).to_contain_text("nested more than")
    take_file(desk, folder / "large.json", json.dumps({"nodes": ["x" * 11_000_000]}))
    expect(dialog).to_contain_text("at most 10 MB are read")
    take_file(desk, folder / "dify.json", json.dumps(of_dify()))
    expect(dialog).to_contain_text("1 placeholder to replace")
    expect(dialog).to_contain_text("onerror")
    watch.check("report of an import")
    page.get_by_role("button", name="Import another").click()
    take_file(desk, folder / "hostile.json", json.dumps(hostile()))
    page.wait_for_url("**/workflows/*")
    desk.settled()
    return page.url.rsplit("/", 1)[1]


def inspect(watch: Watchman, node: str) -> None:
    """Look at all that the inspector shows of a node, and at its ports."""
    page = watch.page
    page.evaluate("ragloom.panel('inspector', 'open')")
    watch.desk.node(node).locator(".rl-title").click()
    # Help tells of types: of one that is not there, and of one from elsewhere.
    for tab in ("Config", "Data", *(["Help"] if node in ("unknown", "held") else [])):
        page.locator(".rl-inspector").get_by_role("tab", name=tab).click()
        watch.check(f"inspector {node} {tab}")
    for port in watch.desk.node(node).locator(".vue-flow__handle").all()[:2]:
        port.hover()
        page.locator(".rl-tip").wait_for()
        watch.check(f"port of {node}")


def test_harmful_texts_are_texts_everywhere(
    context: BrowserContext, server: Server, rest: httpx.Client, tmp_path: Path
) -> None:
    desk = Desk(context.new_page(), server)
    watch, page = Watchman(desk), desk.page
    made = import_all(desk, watch, tmp_path)
    desk.node("out").wait_for()
    desk.still()
    expect(desk.node("text").locator(".rl-title")).to_have_text(ALL)
    watch.check("canvas")

    inspect(watch, "unknown")
    page.keyboard.press("Escape")
    desk.node("unknown").locator(".rl-title").click()
    page.keyboard.press("Delete")  # with it the workflow cannot run
    expect(desk.node("unknown")).to_have_count(0)
    desk.saved()
    page.evaluate("ragloom.panel('drawer', 'open')")
    page.locator(".rl-runbar").get_by_role("button", name="Run", exact=True).click()
    expect(desk.node("out").locator(".rl-status")).to_have_attribute("data-state", "done")
    expect(desk.node("bad").locator(".rl-status")).to_have_attribute("data-state", "failed")
    for tab in ("Run timeline", "Output", "Problems", "Runs", "Compare"):
        page.locator(".rl-drawer").get_by_role("tab", name=tab).click()
        watch.check(f"drawer {tab}")
    page.evaluate("ragloom.panel('drawer', 'closed')")
    page.get_by_role("button", name="Fit everything").click()
    desk.still()
    for node in ("text", "switch", "prompt", "out", "bad", "held"):
        inspect(watch, node)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("onerror")
    watch.check("search")

    runs = rest.get("/workflow_executions", params={"workflow_id": made}).json()["items"]
    rest.patch(f"/workflows/{made}/revisions/1", json={"name": IMG, "message": ALL})
    changed = hostile()
    changed["nodes"][0]["title"] = ALL + ALL
    changed["nodes"] = [node for node in changed["nodes"] if node["id"] != "unknown"]
    rest.put(f"/workflows/{made}", json=changed).raise_for_status()
    second = rest.post(f"/workflows/{made}/execute", json={"input_data": {IMG: ALL}}).json()
    rest.post(f"/workflows/{made}/schedules", json={"cron": "0 0 1 1 *", "name": IMG})
    rest.post(f"/workflows/{made}/webhooks", json={"name": IMG})
    first = runs[0]["execution_id"]
    for path in (
        "/",
        "/runs",
        f"/workflows/{made}?run={first}",
        f"/workflows/{made}/history",
        f"/compare?a={first}&b={second['execution_id']}",
        f"/workflows/{made}/batch",
        f"/workflows/{made}/automation",
    ):
        watch.look(path)
    watch.look("/templates", "")
    # The watchman would have seen it.
    page.evaluate("html => { document.body.insertAdjacentHTML('beforeend', html) }", IMG)
    page.wait_for_function("window.ran === 1")

    def seen() -> bool:
        page.evaluate("0")  # lets in what the browser has said
        return "it ran" in watch.faults and any("<img" in fault for fault in watch.faults)

    until(seen)
    page.close()
    assert desk.errors == []


def test_harmful_documents_and_chats_are_texts_everywhere(
    context: BrowserContext, server: Server, rest: httpx.Client
) -> None:
    kb, document = fill(rest)
    made = str(rest.post("/workflows", json=asking(kb)).json()["workflow_id"])
    link = rest.post(f"/workflows/{made}/chat_links", json={"name": IMG, "greeting": ALL}).json()
    desk = Desk(context.new_page(), server)
    watch, page = Watchman(desk), desk.page
    for path in ("/knowledge", f"/knowledge/{kb}", f"/knowledge/{kb}/documents/{document}"):
        watch.look(path)
    desk.open(f"/workflows/{made}")
    page.locator(".rl-runbar").get_by_role("button", name="Run", exact=True).click()
    expect(desk.answered()).to_contain_text("40 m")
    watch.check("answer")
    for node in ("retrieve", "generate"):
        desk.node(node).locator(".rl-title").click()
        page.locator(".rl-inspector").get_by_role("tab", name="Data").click()
        expect(page.locator(".rl-inspector")).to_contain_text("onerror")
        watch.check(f"data of {node}")
    for path in (f"/workflows/{made}/chat", link["path"]):
        page.goto(server.url + path)
        page.get_by_label("Question").fill(f"How high is the tower? {ALL}")
        page.get_by_label("Question").press("Enter")
        expect(page.locator(".rc-assistant .rc-actions")).to_be_visible()
        watch.check(path)
        page.reload()
        expect(page.locator(".rc-user .rc-text-body").first).to_contain_text("onerror")
        watch.check(f"{path} again")
    page.close()
    assert desk.errors == []
