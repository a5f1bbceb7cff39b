from __future__ import annotations

from django.contrib.auth import views as auth_views
from django.urls import path

from studio import views

urlpatterns = [
    path("", views.home, name="home"),
    path("sign-up/", views.sign_up, name="sign_up"),
    path("sign-in/", auth_views.LoginView.as_view(), name="login"),
    path("sign-out/", auth_views.LogoutView.as_view(), name="logout"),
    path("samples/<slug:style>/<int:seed>.png", views.sample, name="sample"),
    path("gallery/", views.gallery, name="gallery"),
    path("statement/", views.statement, name="statement"),
    path("renders/new/", views.new_render, name="new_render"),
    path("renders/preview.png", views.preview, name="preview"),
    path("renders/<uuid:pk>/", views.show_render, name="render"),
    path("renders/<uuid:pk>/image.png", views.image, name="image"),
    path("renders/<uuid:pk>/upscale/", views.upscale, name="upscale"),
    path("packs/", views.packs, name="packs"),
    path("packs/<slug:name>/buy/", views.buy, name="buy"),
    path("packs/purchased/", views.purchased, name="purchased"),
    path("plans/manage/", views.manage_plan, name="manage_plan"),
    path("plans/<slug:name>/<slug:period>/subscribe/", views.subscribe, name="subscribe"),
    path("notices/<int:pk>/dismiss/", views.dismiss, name="dismiss"),
]
