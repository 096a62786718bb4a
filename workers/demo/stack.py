"""The whole system on one machine: Temporal, Prometheus, the client's world as simulators, and Holdfast."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from workers.demo.systems import CI_TOKEN, ShopSystems
from workers.engine import Engine, server_command, server_environment
from workers.processes import Child, accepts_connections, answers, free_port
from workers.settings import SEARCH_ATTRIBUTES

ROOT = Path(__file__).resolve().parents[2]
BOT_TOKEN = "4242:DEMO-TOKEN"  # noqa: S105  of the stand-in, good for nothing else
CHAT_ID = -1001
CLIENT_CHAT_ID = -1002
CLIENT = 2001
CRM_PATH = "rest/1/SECRET"
NORMAL_RATE = 22.0
FIRST_USER = 1001


@dataclass(frozen=True)
class Ports:
    """Where everything listens on the loopback interface."""

    temporal: int
    ui: int
    prometheus: int
    telegram: int
    crm: int
    shop: int
    customers: int
    worker_metrics: int
    bot_metrics: int
    web: int
    ci: int

    @classmethod
    def pick(cls, *, familiar: bool = True) -> "Ports":
        """Pick free ports; the familiar ones where they are free, so that links look as people know them."""
        wanted = (7233, 8233, 9090, 8081, 8402, 8401, 8403, 9464, 9465, 8088, 8404)
        taken: list[int] = []
        for port in wanted:
            taken.append(free_port(port if familiar else None, besides=taken))
        return cls(*taken)


class Stack:
    """All processes, in the order in which they start."""

    def __init__(
        self,
        directory: Path,
        ports: Ports,
        *,
        engine: Engine,
        prometheus: Path,
        scrape_seconds: int = 2,
        pace: str = "demo",
        runbook_dirs: tuple[Path, ...] = (ROOT / "workers/demo/runbooks", ROOT / "runbooks"),
        rate: float = NORMAL_RATE,
        web: bool = False,
        systems: bool = False,
        client: str = "",
        language: str = "en",
        time_zone: str = "UTC",
    ) -> None:
        """Prepare the directory (databases, logs, generated configuration); nothing is started yet.

        `web` adds the page for approvers who are reached by e-mail, which the story can do without. `systems`
        adds what runbooks can change besides the shop's settings: a CI system, a database and a command.
        `client` adds a chat of this title for somebody of the client's.
        `language` and `time_zone` are those of the group, and of people who say no other.
        """
        self._language, self._time_zone = language, time_zone
        self._web, self._client = web, client
        self.systems = ShopSystems(directory / "systems", ci_port=ports.ci) if systems else None
        self.directory, self.ports = directory, ports
        self._engine, self._prometheus = engine, prometheus
        self._pace, self._runbook_dirs, self._rate = pace, runbook_dirs, rate
        (directory / "logs").mkdir(parents=True, exist_ok=True)
        self._write_prometheus_config(scrape_seconds)
        self._write_chats()
        if self.systems:
            self.systems.make()
        self.children = {child.name: child for child in self._processes()}

    @property
    def links(self) -> dict[str, str]:
        """Where a person may look."""
        p = self.ports
        return {
            "Temporal UI": f"http://127.0.0.1:{p.ui}/namespaces/default/workflows",
            "Telegram": self.chat_page(FIRST_USER),
            "Prometheus": f"http://127.0.0.1:{p.prometheus}/graph",
        }

    def chat_page(self, user: int, chat: int = CHAT_ID) -> str:
        """Return the address of a chat as that person sees it: the incidents, or the private one."""
        return f"http://127.0.0.1:{self.ports.telegram}/?user={user}&chat={chat}"

    @property
    def state(self) -> Path:
        """Where Holdfast keeps its key and its database."""
        return self.directory / "state"

    @property
    def web_page(self) -> str:
        """The address of the page for approvers."""
        return f"http://127.0.0.1:{self.ports.web}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings under which `holdfast` on a command line talks to this stack."""
        p = self.ports
        # First, because the first `systems.yaml` counts; the runbooks there are those of the other directories.
        runbook_dirs = (*([self.systems.directory] if self.systems else []), *self._runbook_dirs)
        page = {"HOLDFAST_WEB_URL": self.web_page, "HOLDFAST_WEB_PORT": str(p.web)} if self._web else {}
        return {
            **page,
            "HOLDFAST_TEMPORAL_ADDRESS": f"127.0.0.1:{p.temporal}",
            "HOLDFAST_TEMPORAL_UI_URL": f"http://127.0.0.1:{p.ui}",
            "HOLDFAST_RUNBOOK_DIRS": json.dumps([str(d) for d in runbook_dirs]),
            "HOLDFAST_DEFAULT_PACE": self._pace,
            "HOLDFAST_ENDPOINTS": json.dumps({"shop": f"http://127.0.0.1:{p.shop}"}),
            "HOLDFAST_MESSAGE_LOGS": json.dumps([str(self.directory / "messages.jsonl")]),
            "HOLDFAST_PROMETHEUS_URL": f"http://127.0.0.1:{p.prometheus}",
            "HOLDFAST_TELEGRAM_TOKEN": BOT_TOKEN,
            "HOLDFAST_TELEGRAM_CHAT": str(CHAT_ID),
            "HOLDFAST_LANGUAGE": self._language,
            "HOLDFAST_TIME_ZONE": self._time_zone,
            "HOLDFAST_TELEGRAM_API": f"http://127.0.0.1:{p.telegram}",
            "HOLDFAST_STATE_DIR": str(self.state),
        }

    def start(self, *names: str) -> None:
        """Start the named processes (all when none is named) and wait until they serve."""
        children = [self.children[n] for n in names] or list(self.children.values())
        for child in children:
            child.start()
        for child in children:
            child.wait_ready()

    def stop(self) -> None:
        """Stop everything, in reverse order."""
        for child in reversed(self.children.values()):
            child.stop()

    # --- the processes ----------------------------------------------------------------------------------

    def _processes(self) -> list[Child]:
        """Return everything, in the order in which it starts."""
        ports = self.ports
        return [
            self._temporal(),
            self._prometheus_server(),
            self._telegram(),
            self._crm(),
            self._shop(),
            self._customers(),
            *([self._ci()] if self.systems else []),
            self._role("worker", ports.worker_metrics),
            self._role("bot", ports.bot_metrics),
            *([self._role("web", ports.web)] if self._web else []),
        ]

    def _child(self, name: str, command: list[str], **more: object) -> Child:
        return Child(name=name, command=command, log=self.directory / "logs" / f"{name}.log", **more)  # type: ignore[arg-type]  # keyword arguments of Child

    def _module(self, name: str, module: str, port: int, path: str, *arguments: str) -> Child:
        command = [sys.executable, "-m", module, "--port", str(port), *arguments]
        return self._child(name, command, ready=answers(f"http://127.0.0.1:{port}/{path}"))

    def _temporal(self) -> Child:
        command = server_command(
            self._engine.path,
            port=self.ports.temporal,
            ui_port=self.ports.ui,
            db_path=self.directory / "temporal.db",
            search_attributes=SEARCH_ATTRIBUTES,
        )
        return self._child(
            "temporal",
            command,
            environment=server_environment(),
            ready=accepts_connections(self.ports.temporal),
        )

    def _prometheus_server(self) -> Child:
        port = self.ports.prometheus
        command = [
            str(self._prometheus),
            f"--config.file={self.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.directory / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        return self._child("prometheus", command, ready=answers(f"http://127.0.0.1:{port}/-/ready"))

    def _telegram(self) -> Child:
        chats, state = str(self.directory / "chats.yaml"), str(self.directory / "telegram.db")
        return self._module(
            "telegram", "holdfast.sim.telegram", self.ports.telegram, "metrics",
            "--token", BOT_TOKEN, "--people", chats, "--state", state,
        )  # fmt: skip

    def _crm(self) -> Child:
        # The client hosts its CRM itself: the cloud's request limits do not apply.
        return self._module(
            "crm", "holdfast.sim.crm", self.ports.crm, "metrics",
            "--burst", "0", "--operating-limit-seconds", "0",
        )  # fmt: skip

    def _shop(self) -> Child:
        return self._module(
            "shop", "holdfast.sim.shop", self.ports.shop, "healthz",
            "--crm-url", f"http://127.0.0.1:{self.ports.crm}/{CRM_PATH}",
            "--state", str(self.directory / "shop.json"),
            "--message-log", str(self.directory / "messages.jsonl"),
        )  # fmt: skip

    def _customers(self) -> Child:
        return self._module(
            "customers", "holdfast.sim.customers", self.ports.customers, "metrics",
            "--shop-url", f"http://127.0.0.1:{self.ports.shop}", "--rate", str(self._rate),
        )  # fmt: skip

    def _ci(self) -> Child:
        return self._module(
            "ci", "holdfast.sim.ci", self.ports.ci, "healthz", "gitlab",
            "--token", CI_TOKEN, "--state", str(self.directory / "ci.json"),
        )  # fmt: skip

    def _role(self, role: str, metrics_port: int) -> Child:
        return self._child(
            role,
            [sys.executable, "-m", "workers.cli", role],
            environment={**self.environment, "HOLDFAST_METRICS_PORT": str(metrics_port)},
            ready=accepts_connections(metrics_port),
        )

    # --- generated configuration ------------------------------------------------------------------------

    def _write_prometheus_config(self, scrape_seconds: int) -> None:
        p = self.ports
        jobs = {
            "shop": p.shop,
            "crm": p.crm,
            "customers": p.customers,
            "telegram": p.telegram,
            "worker": p.worker_metrics,
            "bot": p.bot_metrics,
        }
        if self.systems:
            jobs["ci"] = p.ci
        config = {
            "global": {"scrape_interval": f"{scrape_seconds}s", "scrape_timeout": f"{scrape_seconds}s"},
            "scrape_configs": [
                {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
                for name, port in jobs.items()
            ],
        }
        (self.directory / "prometheus.yml").write_text(yaml.safe_dump(config))

    def _write_chats(self) -> None:
        file = next(d / "people.yaml" for d in self._runbook_dirs if (d / "people.yaml").exists())
        users = [
            _user(p["telegram_id"], p["title"], p["name"], p.get("language", self._language))
            for p in yaml.safe_load(file.read_text())["people"]
            if p.get("telegram_id")
        ]
        users.append(_user(1999, "Mallory", "mallory", self._language))
        bot = {"id": int(BOT_TOKEN.partition(":")[0]), "first_name": "Holdfast", "username": "holdfast_bot"}
        chat = {
            "id": CHAT_ID,
            "type": "supergroup",
            "title": "Incidents",
            "members": [u["id"] for u in users],
            # A group with topics, where the bot may open one for each incident.
            "forum": True,
            "admins": [bot["id"]],
            "topic_managers": [bot["id"]],
        }
        chats = [chat]
        if self._client:
            users.append(_user(CLIENT, "Irina", "irina", self._language))
            members = [user["id"] for user in users if user["username"] != "mallory"]
            chats.append(
                {"id": CLIENT_CHAT_ID, "type": "supergroup", "title": self._client, "members": members}
            )
        world = {"users": users, "chats": chats, "bots": [bot]}
        (self.directory / "chats.yaml").write_text(yaml.safe_dump(world))


def _user(number: int, title: str, name: str, language: str) -> dict[str, object]:
    return {
        "id": number,
        "first_name": title,
        "username": name,
        "language_code": language,
        "started": True,
    }
