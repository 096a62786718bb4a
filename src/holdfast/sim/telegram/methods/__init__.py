"""The methods of the Bot API that this server has: one function each, and the table that names them."""

from typing import NamedTuple

from holdfast.sim.telegram.methods import callbacks, chats, editing, intake, menus, reactions, sending, topics
from holdfast.sim.telegram.methods.call import Call, Described, Handler

__all__ = ["METHODS", "Call", "Described", "Method"]


class Method(NamedTuple):
    """A method: how it is spelled, what it does, and whether it stores a message."""

    name: str
    handle: Handler
    stores_message: bool = False


METHODS = {
    method.name.lower(): method
    for method in (
        Method("getMe", chats.get_me),
        Method("getChat", chats.get_chat),
        Method("getChatMember", chats.get_chat_member),
        Method("sendChatAction", chats.send_chat_action),
        Method("sendMessage", sending.send_message, stores_message=True),
        Method("sendPhoto", sending.send_photo, stores_message=True),
        Method("sendDocument", sending.send_document, stores_message=True),
        Method("editMessageText", editing.edit_message_text, stores_message=True),
        Method("editMessageCaption", editing.edit_message_caption, stores_message=True),
        Method("editMessageReplyMarkup", editing.edit_message_reply_markup, stores_message=True),
        Method("deleteMessage", editing.delete_message),
        Method("setMessageReaction", reactions.set_message_reaction),
        Method("createForumTopic", topics.create_forum_topic, stores_message=True),
        Method("editForumTopic", topics.edit_forum_topic),
        Method("closeForumTopic", topics.close_forum_topic),
        Method("reopenForumTopic", topics.reopen_forum_topic),
        Method("deleteForumTopic", topics.delete_forum_topic),
        Method("answerCallbackQuery", callbacks.answer_callback_query),
        Method("setMyCommands", menus.set_my_commands),
        Method("getMyCommands", menus.get_my_commands),
        Method("deleteMyCommands", menus.delete_my_commands),
        Method("getUpdates", intake.get_updates),
        Method("setWebhook", intake.set_webhook),
        Method("deleteWebhook", intake.delete_webhook),
        Method("getWebhookInfo", intake.get_webhook_info),
    )
}
