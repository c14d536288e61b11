"""Both pages for people who do not see well: what axe-core, Deque's checker, finds."""

import pytest

#: What it calls grave.
GRAVE = ("serious", "critical")


@pytest.fixture(scope="session")
def faults(from_npm):
    """Grave faults of a page as it is shown: the rule, and the element."""
    script = (from_npm("axe-core", "4.14.1", ["axe.min.js"]) / "axe.min.js").read_text()

    def find(page):
        page.evaluate(f"() => {{ if (!window.axe) {{ {script} }} }}")
        found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")["violations"]
        return [(rule["id"], node["html"]) for rule in found if rule["impact"] in GRAVE for node in rule["nodes"]]

    return find


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_tab_has_grave_faults(browser, address, settle, faults, scheme):
    with browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 1000}) as context:
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.goto(f"{address}?__theme={scheme}")
        page.wait_for_selector("#paint")
        for tab in ("Transfer", "Clip", "Reconstruct", "Amalgamate", "Study", "Network"):
            page.get_by_role("tab", name=tab, exact=True).click()
            settle(page)
            if tab == "Network":
                page.wait_for_selector("#means svg")
            page.evaluate("() => document.querySelectorAll('button.label-wrap:not(.open)').forEach(it => it.click())")
            page.wait_for_timeout(500)  # what opens fades in
            assert faults(page) == [], tab
