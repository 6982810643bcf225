"""Passwords and keys: the configured ones, or random ones that stay the same for the life of the stack."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_random as random
from pydantic import SecretStr

# 32 characters of 62 are 190 bits. Without special characters a password needs no quoting in YAML, SQL, a MySQL DSN
# (user:password@tcp(host)/db), my.cnf, redis.conf or a shell.
PASSWORD_LENGTH = 32
# The manager takes 8 to 20 characters, at sign-in too (SignInRequest in its manager/types/user.go); 20 of 62 are
# 119 bits.
CONSOLE_PASSWORD_LENGTH = 20
# HMAC-SHA-256 wants a key of at least 256 bits; 64 characters of 62 are 381.
KEY_LENGTH = 64


@dataclass(frozen=True)
class CredentialsArgs:
    """Configured passwords; None for a random one."""

    db_root_password: SecretStr | None = None
    db_user_password: SecretStr | None = None
    db_exporter_password: SecretStr | None = None
    redis_password: SecretStr | None = None


class Credentials(pulumi.ComponentResource):
    """The secrets of one installation, each an output that the engine encrypts in the state.

    Attributes:
        db_root_password: MySQL's root.
        db_user_password: the MySQL user that the manager signs in as.
        db_exporter_password: the MySQL user that mysqld_exporter signs in as.
        redis_password: Redis' default user.
        console_root_password: the user root of the manager's console.
        token_key: signs the manager's console tokens. The chart's is public, so that anyone could make a token.
        config_hash_key: keys the hashes by which pods are rolled when their config changes.
    """

    db_root_password: pulumi.Output[str]
    db_user_password: pulumi.Output[str]
    db_exporter_password: pulumi.Output[str]
    redis_password: pulumi.Output[str]
    console_root_password: pulumi.Output[str]
    token_key: pulumi.Output[str]
    config_hash_key: pulumi.Output[str]

    def __init__(self, name: str, args: CredentialsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dragonfly:credentials:Credentials", name, None, opts)
        self.db_root_password = self._password("db-root-password", args.db_root_password)
        self.db_user_password = self._password("db-user-password", args.db_user_password)
        self.db_exporter_password = self._password("db-exporter-password", args.db_exporter_password)
        self.redis_password = self._password("redis-password", args.redis_password)
        self.console_root_password = self._random("console-root-password", CONSOLE_PASSWORD_LENGTH)
        self.token_key = self._random("manager-token-key", KEY_LENGTH)
        self.config_hash_key = self._random("config-hash-key", KEY_LENGTH)
        self.register_outputs(
            {
                "dbRootPassword": self.db_root_password,
                "dbUserPassword": self.db_user_password,
                "dbExporterPassword": self.db_exporter_password,
                "redisPassword": self.redis_password,
                "consoleRootPassword": self.console_root_password,
                "tokenKey": self.token_key,
                "configHashKey": self.config_hash_key,
            }
        )

    def _password(self, name: str, configured: SecretStr | None) -> pulumi.Output[str]:
        # Made in any case, so that it is still the same when the configured one is taken back: MySQL may know only it.
        generated = self._random(name, PASSWORD_LENGTH)
        return generated if configured is None else pulumi.Output.secret(configured.get_secret_value())

    def _random(self, name: str, length: int) -> pulumi.Output[str]:
        password = random.RandomPassword(
            name,
            length=length,
            special=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        # The provider marks the result secret; saying it again costs nothing and does not depend on it.
        return pulumi.Output.secret(password.result)
