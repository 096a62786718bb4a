"""answerCallbackQuery."""

from holdfast.sim.telegram.callbacks import CallbackAnswer
from holdfast.sim.telegram.methods.call import Call


async def answer_callback_query(call: Call) -> bool:
    """End the waiting of the person who pressed a button, with a toast, a dialog or nothing."""
    params = call.params
    answer = CallbackAnswer(params.text("text"), params.boolean("show_alert"), params.text("url"))
    call.telegram.callbacks.answer(call.bot.id, params.text("callback_query_id"), answer)
    return True
