"""VietQR by the examples of NAPAS and others, and read back from its picture by another library."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import zxingcpp

from integrations.bank import vietqr
from integrations.bank.vietqr import BANKS, Beneficiary, crc, payload, with_checksum
from schema.payments import qr_image
from tests.support.gateways.vectors import VECTORS

EXAMPLES: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in VECTORS["emvco_qr"]}
BUILT = [id for id in EXAMPLES if id.startswith("vietqr-build")]


@pytest.mark.parametrize("id", EXAMPLES)
def test_every_example_has_the_printed_checksum(id: str) -> None:
    example = EXAMPLES[id]
    assert crc(example["canonical"]) == example["expected"]
    if "payload" in example:
        sealed = with_checksum(example["canonical"].removesuffix("6304")).upper()
        assert (sealed == example["payload"].upper()) is not example.get("negative", False)


@pytest.mark.parametrize("id", BUILT)
def test_our_payload_equals_the_example(id: str) -> None:
    fields = dict(EXAMPLES[id]["input"])
    beneficiary = Beneficiary(
        bin=fields.pop("bin"),
        account=fields.pop("acc"),
        name=fields.pop("name", ""),
        city=fields.pop("city", ""),
    )
    assert payload(beneficiary, **fields) == EXAMPLES[id]["payload"]


def test_the_table_of_banks_is_the_state_banks() -> None:
    assert set(BANKS) == set(VECTORS["banks"])
    assert BANKS["970436"] == "Vietcombank"


def test_a_purpose_that_is_too_long_is_refused() -> None:
    with pytest.raises(AssertionError):
        payload(
            Beneficiary(bin="970436", account="0123499999"),
            purpose="X" * (vietqr.MAX_PURPOSE + 1),
        )


def grey_pixels(image: str) -> memoryview:
    """Return the picture as grey pixels, four to a module, from its black strokes on white."""
    picture = ET.fromstring(base64.b64decode(image.removeprefix("data:image/svg+xml;base64,")))
    (path,) = picture.iter("{http://www.w3.org/2000/svg}path")
    scale = 4
    side = int(picture.attrib["width"])
    pixels = bytearray(b"\xff" * side * side)
    x = y = 0.0
    for command, numbers in re.findall(r"([Mmhv])([-0-9. ]+)", path.attrib["d"]):
        values = [float(number) for number in re.findall(r"-?[0-9]*\.?[0-9]+", numbers)]
        match command:
            case "M":
                x, y = values
            case "m":
                x, y = x + values[0], y + values[1]
            case "h":
                top = int((y - 0.5) * scale)
                for row in range(top, top + scale):
                    begin = row * side + int(x * scale)
                    pixels[begin : begin + int(values[0] * scale)] = bytes(int(values[0] * scale))
                x += values[0]
    return memoryview(bytes(pixels)).cast("B", (side, side))


@pytest.mark.parametrize("id", [*BUILT, "vnpay-merchant-qr-1", "napas-6.1.3-dynamic-account"])
def test_the_picture_reads_back_as_the_same_payload(id: str) -> None:
    text = EXAMPLES[id]["payload"]
    (barcode,) = zxingcpp.read_barcodes(grey_pixels(qr_image(text)))
    assert barcode.format == zxingcpp.BarcodeFormat.QRCode
    assert barcode.text == text
