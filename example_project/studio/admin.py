from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from studio.models import Conversation, Message, Render, User

admin.site.register(User, UserAdmin)


@admin.register(Render)
class RenderAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    list_display = ["title", "owner", "style", "width", "height", "created_at"]
    list_select_related = ["owner"]
    readonly_fields = ["owner", "charge", "upscaled_from"]


class MessageInline(admin.StackedInline):  # type: ignore[type-arg]
    model = Message
    extra = 0
    readonly_fields = ["model", "question", "reply", "output_tokens", "cost", "asked_at"]
    can_delete = False


@admin.register(Conversation)
class ConversationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["title", "owner", "created_at"]
    list_select_related = ["owner"]
    readonly_fields = ["owner"]
    inlines = [MessageInline]
