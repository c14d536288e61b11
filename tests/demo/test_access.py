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


def test_no_tab_has_grave_faults_in_the_light_and_in_the_dark(visit, open_tab, unfold, faults):
    page = visit()
    for tab in ("Clip", "Reconstruct", "Amalgamate", "Study", "Network", "Transfer"):
        open_tab(page, tab)
        if tab == "Network":
            page.wait_for_selector("#means svg")
        unfold(page)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function("dark => document.body.classList.contains('dark') === dark", arg=scheme == "dark")
            page.wait_for_timeout(500)  # what opens fades in
            assert faults(page) == [], (tab, scheme)
