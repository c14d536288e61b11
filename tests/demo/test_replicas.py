"""Several pages behind the load balancer of demo/haproxy.cfg."""

import shutil
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from gradio_client import Client
from PIL import Image

HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
CONFIGURATION = Path(__file__).resolve().parents[2] / "demo" / "haproxy.cfg"


@pytest.mark.skipif(HAPROXY is None, reason="needs HAProxy: install it with the system's package manager")
def test_visitors_are_spread_and_each_stays_where_it_is(serve, is_healthy, free_port, tmp_path):
    entrance = free_port()
    with (
        serve(GRADIO_TEMP_DIR=str(tmp_path / "first")) as (first, _),
        serve(GRADIO_TEMP_DIR=str(tmp_path / "second")) as (second, _),
    ):
        configuration = CONFIGURATION.read_text()
        for told, here in (("7860", entrance), ("7861", httpx.URL(first).port), ("7862", httpx.URL(second).port)):
            configuration = configuration.replace(f"127.0.0.1:{told}", f"127.0.0.1:{here}")
        (tmp_path / "haproxy.cfg").write_text(configuration)
        proxy = subprocess.Popen([HAPROXY, "-f", tmp_path / "haproxy.cfg"])
        try:
            with httpx.Client() as visitor:
                while not is_healthy(visitor, f"http://127.0.0.1:{entrance}/"):
                    assert proxy.poll() is None
                    time.sleep(0.1)

            def visit(_):
                client = Client(f"http://127.0.0.1:{entrance}", verbose=False)
                for _ in range(2):
                    saved = client.predict(size=64, iterations=1, api_name="/transfer")[0]
                    assert Image.open(saved).format == "PNG"
                return client.cookies["replica"]

            with ThreadPoolExecutor(6) as visitors:
                spread = Counter(visitors.map(visit, range(6)))
        finally:
            proxy.terminate()
            proxy.wait()
    assert spread.keys() == {"first", "second"}
