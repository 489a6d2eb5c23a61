"""Tax providers as an installation may bring them: small, whole, and named by the setting TAX_PROVIDER."""

from typing import ClassVar

from billing.operations.tax_provider import TaxProviderUnavailable, TaxQuestion
from billing.rules.tax import TaxPending, Treatment, tax_treatment

REGISTER = "tests.builders.taxes:Register"
SILENT = "tests.builders.taxes:Silent"


class Register:
    """A provider with a register of the VAT ids that are valid."""

    valid: ClassVar[set[str]] = set()
    asked: ClassVar[list[str]] = []

    def vat_id_answer(self, vat_id: str) -> str:
        self.asked.append(vat_id)
        return "valid" if vat_id in self.valid else "invalid"

    def treatment(self, question: TaxQuestion) -> Treatment | TaxPending:
        answer = "valid" if question.customer.vat_id in self.valid else "invalid"
        return tax_treatment(
            question.seller_country,
            question.customer,
            answer="valid" if answer == "valid" else "invalid",
            on=question.on,
        )


class Silent:
    """A provider that does not answer."""

    def vat_id_answer(self, vat_id: str) -> str:
        raise TaxProviderUnavailable

    def treatment(self, question: TaxQuestion) -> Treatment | TaxPending:
        raise TaxProviderUnavailable
