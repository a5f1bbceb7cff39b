from __future__ import annotations

from django.contrib.auth import views as auth_views
from django.urls import path

from studio.api import RendersView
from studio.views import account, chat, pictures

urlpatterns = [
    path("", account.home, name="home"),
    path("sign-up/", account.sign_up, name="sign_up"),
    path("sign-in/", auth_views.LoginView.as_view(), name="login"),
    path("sign-out/", auth_views.LogoutView.as_view(), name="logout"),
    path("samples/<slug:style>/<int:seed>.png", pictures.sample, name="sample"),
    path("gallery/", pictures.gallery, name="gallery"),
    path("renders/new/", pictures.new_render, name="new_render"),
    path("renders/preview.png", pictures.preview, name="preview"),
    path("renders/<uuid:pk>/", pictures.show_render, name="render"),
    path("renders/<uuid:pk>/image.png", pictures.image, name="image"),
    path("renders/<uuid:pk>/upscale/", pictures.upscale, name="upscale"),
    path("api/renders/", RendersView.as_view(), name="api_renders"),
    path("chat/", chat.conversations, name="chat"),
    path("chat/new/", chat.start, name="new_conversation"),
    path("chat/<uuid:pk>/", chat.conversation, name="conversation"),
    path("chat/messages/<uuid:pk>/again/", chat.ask_again, name="ask_again"),
]
