"""How tasks travel: both brokers, and nothing that a lost message could break."""

from config.celery import _queue_arguments, _transport_options, app


class TestDelivery:
    def test_is_acknowledged_after_the_work_and_repeated_when_the_worker_dies(self) -> None:
        assert app.conf.task_acks_late is True
        assert app.conf.task_reject_on_worker_lost is True
        assert app.conf.worker_prefetch_multiplier == 1

    def test_keeps_no_results(self) -> None:
        assert app.conf.task_ignore_result is True

    def test_never_holds_up_a_caller_while_the_broker_is_down(self) -> None:
        assert app.conf.task_publish_retry is False

    def test_is_restored_quickly_by_valkey(self) -> None:
        options = _transport_options("redis://127.0.0.1/0")
        assert (options["unacked_restore_interval"], options["unacked_restore_throttle"]) == (1, 1)
        assert options["visibility_timeout"] <= 30

    def test_goes_through_quorum_queues_of_rabbitmq(self) -> None:
        assert _queue_arguments("amqp://broker/") == {"task_default_queue_type": "quorum"}
        assert _queue_arguments("redis://127.0.0.1/0") == {}
        assert "visibility_timeout" not in _transport_options("amqps://broker/")


class TestTheSchedule:
    def test_names_only_tasks_that_exist(self) -> None:
        app.loader.import_default_modules()
        assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)
