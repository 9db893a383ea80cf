"""The catalogue: sizes, images and what they cost."""

from __future__ import annotations

from zentry.billing.service import BillingService
from zentry.billing.types import AT_REST, CREATE_FEE
from zentry.platform.db import Transaction
from zentry.platform.money import to_credits
from zentry.platform.settings import BillingSettings
from zentry.vms.repository import VMRepository
from zentry.vms.schemas import (
    BillingDetails,
    ImageResponse,
    InstanceTypeResponse,
    PricingInfo,
    SimplePricing,
    TypeSpecs,
)
from zentry.vms.types import InstanceType
from zentry.vms.views import specs_text


class Catalogue:
    """Answers what there is to choose from."""

    def __init__(self, tx: Transaction, settings: BillingSettings) -> None:
        self._rows = VMRepository(tx)
        self._billing = BillingService(tx, settings)
        self._settings = settings

    async def get_pricing_info(self) -> PricingInfo:
        """Return prices, sizes and the rules of charging."""
        prices = await self._billing.get_price_list()
        sizes = await self._rows.list_instance_types()
        kept = any(prices.price(meter) for meter in AT_REST)
        return PricingInfo(
            pricing={size.name: to_credits(prices.micros[size.name]) for size in sizes},
            currency=prices.currency,
            billing="per_hour",
            description="Prices per hour while a VM runs, charged by the second; a stopped VM costs "
            + ("what it keeps: its disk and its address." if kept else "nothing."),
            specifications={size.name: _specs(size) for size in sizes},
            billing_details=BillingDetails(
                unit="credits per hour",
                granularity="second",
                minimum_charge=0.0,
                create_fee=to_credits(prices.micros.get(CREATE_FEE, 0)),
                minimum_credits=self._settings.minimum_credits,
                window_seconds=self._settings.window_seconds,
                rounding="down to a millionth of a credit, so that the charges of parts add up to the whole",
            ),
            cost_optimization={
                "stop": "Stop machines that you do not use: charging ends when the stop is accepted.",
                "resize": "Choose the smallest type that does the job; types double in price with their size.",
                "watch": "GET /billing/credits shows what you spend per hour.",
            },
            price_version=prices.version,
        )

    async def get_simple_pricing(self) -> SimplePricing:
        """Return prices and sizes in the short form."""
        info = await self.get_pricing_info()
        return SimplePricing(
            pricing=info.pricing,
            currency=info.currency,
            billing=info.billing,
            description=info.description,
            specs=info.specifications,
        )

    async def list_images(self) -> list[ImageResponse]:
        """Return the images."""
        return [ImageResponse.model_validate(image) for image in await self._rows.list_images()]

    async def list_instance_types(self) -> list[InstanceTypeResponse]:
        """Return the sizes with their prices."""
        prices = await self._billing.get_price_list()
        return [_priced(size, prices.micros[size.name]) for size in await self._rows.list_instance_types()]


def _specs(size: InstanceType) -> TypeSpecs:
    text = specs_text(size.vcpus, size.memory_mib, size.disk_gib)
    return TypeSpecs(
        cpu=text.cpu,
        ram=text.ram,
        storage=text.storage,
        vcpus=size.vcpus,
        memory_mib=size.memory_mib,
        disk_gib=size.disk_gib,
    )


def _priced(size: InstanceType, micros: int) -> InstanceTypeResponse:
    return InstanceTypeResponse(
        name=size.name,
        vcpus=size.vcpus,
        memory_mib=size.memory_mib,
        disk_gib=size.disk_gib,
        price_per_hour=to_credits(micros),
        description=size.description,
        deprecated_at=size.deprecated_at,
        unavailable_after=size.unavailable_after,
    )
