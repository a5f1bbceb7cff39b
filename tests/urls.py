from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from tests.app import gated, pages, views

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("credits/", include("usage_credits.urls")),
    path("teams/<uuid:team>/credits/", include(pages.team_pages, namespace="team_credits")),
    path("credits/of/<str:model>/<int:pk>/", pages.WalletOf.as_view()),
    path("credits/save-card/", pages.BuyAndSaveCard.as_view()),
    path("spend/<int:pk>/", views.spend),
    path("work/<int:pk>/", views.work),
    path("told/", gated.told, name="told"),
    path("need/one/", gated.need_one),
    path("need/image/", gated.need_image),
    path("need/image/async/", gated.need_image_async),
    path("need/image/mixin/", gated.Images.as_view()),
    path("need/report/", gated.need_report),
    path("need/report/mixin/", gated.AsyncReports.as_view()),
    path("need/report/dispatch/", gated.AsyncDispatch.as_view()),
    path("need/team/<uuid:pk>/", gated.need_team),
    path("need/nobody/", gated.need_nobody),
    path("need/unknown/", gated.need_unknown),
    path("need/nameless/", gated.Nameless.as_view()),
    path("need/free/", gated.need_free),
    path("need/<str:model>/<int:pk>/", gated.need_of),
    path("charge/counted/", gated.charge_counted),
    path("charge/counted/async/", gated.charge_counted_async),
    path("charge/stuck/", gated.charge_stuck),
    path("charge/stuck/async/", gated.charge_stuck_async),
    path("charge/report/", gated.charge_report),
    path("charge/atomic/", gated.charge_in_transaction),
    path("charge/image/", gated.charge_image),
    path("charge/async/", gated.charge_async),
    path("charge/page/", gated.ChargedPage.as_view()),
    path("charge/dispatch/", gated.ChargedAsync.as_view()),
    path("charge/method/", gated.ChargedMethod.as_view()),
    path("charge/studio/<int:pk>/", gated.charge_studio),
    path("charge/stream/", gated.charge_stream),
    path("charge/stream/async/", gated.charge_async_stream),
    path("charge/file/", gated.charge_file),
    path("chat/", gated.chat),
    path("chat/async/", gated.chat_async),
    path("chat/stream/", gated.chat_stream),
    path("chat/stream/async/", gated.chat_stream_async),
]

if "djstripe" in settings.INSTALLED_APPS:
    urlpatterns.append(path("stripe/", include("djstripe.urls", namespace="djstripe")))
