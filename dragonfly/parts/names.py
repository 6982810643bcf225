"""Names of the Kubernetes objects of one Dragonfly instance.

The names are those of the click-to-deploy chart, so that dashboards, scripts and `kubectl port-forward` commands that
were made for it go on working.
"""

from __future__ import annotations

from dataclasses import dataclass

from dragonfly.parts.labels import Component

APPLICATION_CRD = "applications.app.k8s.io"

DATA_VOLUME = "data"
"""Name within its pod of the volume on a claim."""

# Kubernetes validates a Service's name as a DNS-1035 label.
SERVICE_NAME_LIMIT = 63
# A StatefulSet's or DaemonSet's name plus "-" and a ten character revision hash must fit the 63 characters of the
# label controller-revision-hash.
WORKLOAD_NAME_LIMIT = 52
# A Job's name is the value of its pods' label batch.kubernetes.io/job-name.
JOB_NAME_LIMIT = 63


@dataclass(frozen=True)
class Names:
    """Derives every object's name from the instance's name.

    Args:
        app: `appInstanceName` of the stack, a DNS-1035 label.
    """

    app: str

    @property
    def manager(self) -> str:
        return f"{self.app}-manager"

    @property
    def manager_service(self) -> str:
        return f"{self.app}-manager-service"

    @property
    def manager_config(self) -> str:
        return f"{self.app}-manager-config"

    @property
    def manager_secret(self) -> str:
        return f"{self.app}-manager-secret"

    @property
    def root_password_job(self) -> str:
        return f"{self.app}-root-password"

    @property
    def scheduler(self) -> str:
        return f"{self.app}-scheduler"

    @property
    def scheduler_service(self) -> str:
        return f"{self.app}-scheduler-service"

    @property
    def scheduler_headless(self) -> str:
        return f"{self.app}-scheduler-headless"

    @property
    def scheduler_config(self) -> str:
        return f"{self.app}-scheduler-config"

    @property
    def seed_peer(self) -> str:
        return f"{self.app}-seed-peer"

    @property
    def seed_peer_headless(self) -> str:
        return f"{self.app}-seed-peer-headless"

    @property
    def seed_peer_config(self) -> str:
        return f"{self.app}-seed-peer-config"

    @property
    def seed_peer_claim(self) -> str:
        return f"{self.app}-seed-peer-cache-pvc-{self.seed_peer}-0"

    @property
    def peer(self) -> str:
        return f"{self.app}-dfget"

    @property
    def peer_config(self) -> str:
        return f"{self.app}-dfget-config"

    @property
    def mysql(self) -> str:
        return f"{self.app}-mysql"

    @property
    def mysql_service(self) -> str:
        return f"{self.app}-mysql-svc"

    @property
    def mysql_headless(self) -> str:
        return f"{self.app}-mysql-headless"

    @property
    def mysql_secret(self) -> str:
        return f"{self.app}-mysql-secret"

    @property
    def mysql_claim(self) -> str:
        return f"{self.app}-mysql-pvc-{self.mysql}-0"

    @property
    def mysqld_exporter_service(self) -> str:
        return f"{self.app}-mysqld-exporter-svc"

    @property
    def mysqld_exporter_secret(self) -> str:
        return f"{self.app}-mysqld-exporter-secret"

    @property
    def redis(self) -> str:
        return f"{self.app}-redis"

    @property
    def redis_service(self) -> str:
        return f"{self.app}-redis-svc"

    @property
    def redis_headless(self) -> str:
        return f"{self.app}-redis-headless"

    @property
    def redis_secret(self) -> str:
        return f"{self.app}-redis-secret"

    @property
    def redis_config(self) -> str:
        return f"{self.app}-redis-config"

    @property
    def redis_claim(self) -> str:
        return f"{self.app}-redis-data-pvc-{self.redis}-0"

    @property
    def redis_exporter_service(self) -> str:
        return f"{self.app}-redis-exporter-svc"

    @property
    def dashboard(self) -> str:
        return f"{self.app}-dashboard"

    def services(self) -> tuple[str, ...]:
        """Names of all Services, each limited to SERVICE_NAME_LIMIT characters."""
        return (
            self.manager_service,
            self.scheduler_service,
            self.scheduler_headless,
            self.seed_peer_headless,
            self.mysql_service,
            self.mysql_headless,
            self.mysqld_exporter_service,
            self.redis_service,
            self.redis_headless,
            self.redis_exporter_service,
        )

    def claims(self) -> tuple[str, ...]:
        """Names of the databases' volume claims."""
        return (self.mysql_claim, self.redis_claim)

    def workloads(self) -> tuple[str, ...]:
        """Names of Deployment, StatefulSets and DaemonSet, each limited to WORKLOAD_NAME_LIMIT characters.

        What waits for another stands behind it.
        """
        return (self.mysql, self.redis, self.manager, self.scheduler, self.seed_peer, self.peer)

    def limited(self) -> dict[str, int]:
        """How many characters each name may have, of every object whose name has a limit below 253."""
        return {
            **dict.fromkeys(self.services(), SERVICE_NAME_LIMIT),
            **dict.fromkeys(self.workloads(), WORKLOAD_NAME_LIMIT),
            self.root_password_job: JOB_NAME_LIMIT,
        }


def workload_names(names: Names) -> dict[Component, str]:
    """Return the name of each component's workload, by which its network policy and its metrics are known too.

    Args:
        names: of the instance's objects.
    """
    return {
        Component.MYSQL: names.mysql,
        Component.REDIS: names.redis,
        Component.MANAGER: names.manager,
        Component.ROOT_PASSWORD: names.root_password_job,
        Component.SCHEDULER: names.scheduler,
        Component.SEED_PEER: names.seed_peer,
        Component.PEER: names.peer,
    }


def longest_app_name() -> int:
    """Return the number of characters that `appInstanceName` may have so that every derived name fits its limit."""
    return min(limit - len(suffix) for suffix, limit in Names("").limited().items())


def too_long_name(app: str) -> str:
    """Return the derived name that goes furthest beyond its limit, for an instance name that is too long."""
    limited = Names(app).limited()
    return max(limited, key=lambda name: len(name) - limited[name])
