"""Variables of a production environment, with which the settings are complete."""

from __future__ import annotations

import base64


def pem(encoded: str) -> str:
    return f"-----BEGIN PRIVATE KEY-----\n{encoded}\n-----END PRIVATE KEY-----\n"


OPENSSL_KEY = pem("MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF")
OTHER_KEY = pem("MC4CAQAwBQYDK2VwBCIEIDERERERERERERERERERERERERERERERERERERERERER")
SYSTEMS = ("REVENUE", "CUSTOMER", "STAFF", "DEBT", "HIFPT", "SMS")
PRODUCTION = {
    "ENV": "production",
    "DATABASE_URL": "postgresql://mobinet:hidden@db.internal/mobinet",
    "REDIS_URL": "rediss://:hidden@cache.internal:6379/0",
    "KEYS__SIGNING": OPENSSL_KEY,
    "KEYS__RECEIPTS": OTHER_KEY,
    "KEYS__ENCRYPTION": base64.b64encode(b"k" * 32).decode(),
    **{f"{name}__URL": f"https://{name.lower()}.internal" for name in SYSTEMS},
    **{f"{name}__API_KEY": f"real-{name}" for name in SYSTEMS},
    "FPT_PAY__URL": "https://pay.internal",
    "FPT_PAY__SECRET": "new-fpt-pay,old-fpt-pay",
    "VNPAY__URL": "https://vnpay.example",
    "VNPAY__TMN_CODE": "FPTTEL01",
    "VNPAY__HASH_SECRET": "new-hash,old-hash",
    "BANK__BIN": "970436",
    "BANK__ACCOUNT": "0123499999",
    "BANK__CASSO_SECRET": "real-casso-secret",
    "BANK__SEPAY_SECRET": "new-sepay-secret,old-sepay-secret",
    "MOMO__URL": "https://momo.example",
    "MOMO__PARTNER_CODE": "FPTTEL",
    "MOMO__ACCESS_KEY": "real-access-key",
    "MOMO__SECRET_KEY": "new-momo-key,old-momo-key",
    "PAYPAL__URL": "https://paypal.example",
    "PAYPAL__CLIENT_ID": "real-client",
    "PAYPAL__CLIENT_SECRET": "real-paypal",
    "PAYPAL__WEBHOOK_ID": "96605875FF6516633",
    "PAYPAL__CERT_HOST": "paypal.com",
    "PAYPAL__USD_RATE": "26125@2026-11-20",
    "STRIPE__URL": "https://stripe.example",
    "STRIPE__API_KEY": "real-stripe",
    "STRIPE__WEBHOOK_SECRET": "whsec_new,whsec_old",
}
