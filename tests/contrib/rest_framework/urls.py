from __future__ import annotations

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from tests.contrib.rest_framework import gated
from tests.contrib.rest_framework.api import urlpatterns as api_urlpatterns

router = SimpleRouter()
router.register("renders", gated.Renders, "renders")

urlpatterns = [
    *api_urlpatterns,
    path("need/one/", gated.need_one),
    path("need/report/", gated.NeedReport.as_view()),
    path("need/image/", gated.NeedImage.as_view()),
    path("need/team/<uuid:team>/", gated.NeedTeam.as_view()),
    path("need/nobody/", gated.NeedNobody.as_view()),
    path("need/unknown/", gated.NeedUnknown.as_view()),
    path("need/staff/", gated.NeedOrStaff.as_view()),
    path("charge/report/", gated.ChargeReport.as_view()),
    path("charge/function/", gated.charge_function),
    path("charge/team/<uuid:team>/", gated.ChargeTeam.as_view()),
    path("charge/stream/", gated.ChargeStream.as_view()),
    path("spend/", gated.Spend.as_view()),
    path("", include(router.urls)),
    # The webhook of dj-stripe is among them.
    path("", include("tests.urls")),
]
