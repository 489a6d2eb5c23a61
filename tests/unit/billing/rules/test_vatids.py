"""VAT ids: form and check digits of the EU's members, Great Britain, Switzerland and Norway."""

import pytest

from billing.rules.vatids import VatId, check_vat_id


class TestVatIds:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("DE136695976", VatId("DE136695976", "DE")),
            ("de 136.695.976", VatId("DE136695976", "DE")),
            ("EL094259216", VatId("EL094259216", "GR")),
            ("XI980780684", VatId("XI980780684", "GB")),
            ("GB980780684", VatId("GB980780684", "GB")),
            ("CHE-107.787.577 IVA", VatId("CHE107787577IVA", "CH")),
            ("NO995525828MVA", VatId("NO995525828MVA", "NO")),
            ("IT00743110157", VatId("IT00743110157", "IT")),
        ],
    )
    def test_with_right_check_digits_name_their_country(self, text: str, found: VatId) -> None:
        assert check_vat_id(text) == found

    @pytest.mark.parametrize(
        "text",
        [
            "DE136695978",
            "GB980780685",
            "CHE107787578IVA",
            "NO995525829MVA",
            "136695976",
            "GR094259216",
            "EU372022452",
            "US123456789",
            "DE１３６６９５９７６",
            "DE" + "0" * 40,
            "DE",
            "",
            None,
            136695976,
        ],
    )
    def test_that_no_register_can_know_are_none(self, text: object) -> None:
        assert check_vat_id(text) is None
