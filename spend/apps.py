from django.apps import AppConfig


class SpendConfig(AppConfig):
    name = "spend"

    def ready(self) -> None:
        from common.api.openapi import register_paths
        from events.store import register
        from orgs.operations.guards import register_guard
        from spend import jobs
        from spend.api import gate_schema, stream_schema
        from spend.operations.entitling import check_new_agent
        from spend.projections import budgets, controls, fine, hourly, minutes, prices
        from spend.projections.gate import PROJECTOR
        from spend.queries import integrity, retired

        register_guard("spend.entitlements", check_new_agent)
        prices.register_all()
        budgets.register_all()
        controls.register_all()
        register(PROJECTOR)
        fine.register_reader()
        minutes.register_reader()
        hourly.register_hourly()
        integrity.register_checks()
        retired.register_summaries()
        jobs.register_all()
        for described in (gate_schema, stream_schema):
            register_paths(described.PATHS, schemas=described.SCHEMAS)
