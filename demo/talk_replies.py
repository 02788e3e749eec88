"""The answers of `talk.py`: a pure function from a transcript to the sentences to speak.

No models, no audio, no clock of its own, so a test can call every rule directly.
"""

import re
from collections.abc import Callable
from datetime import datetime

COUNT_LIMIT = 100
"""The highest number it counts to: a minute and a half of speech, time enough to interrupt."""

GREETING = (
    "Hello! I am listening.",
    "Ask me for the time or the date, tell me to count to twenty, or ask for a story.",
)

BACKCHANNELS = frozenset(
    {
        "ah",
        "aha",
        "alright",
        "exactly",
        "good",
        "great",
        "hm",
        "hmm",
        "i",
        "mhm",
        "mm",
        "nice",
        "oh",
    }
    | {
        "ok",
        "okay",
        "really",
        "right",
        "see",
        "so",
        "sure",
        "true",
        "uh",
        "huh",
        "um",
        "well",
        "wow",
    }
    | {"yeah", "yep", "yes"}
)
"""Words of people who listen, and mean no interruption by them."""

STORY = (
    "Once upon a time there was a parrot who never stopped talking.",
    "She talked at breakfast, she talked at dinner, and she talked in her sleep.",
    "One day an owl came to visit from the far side of the wood.",
    "The parrot asked him how he was, and went on talking.",
    "The owl waited.",
    "She asked him again, and again she did not wait for the answer.",
    "So the owl bowed, and flew home.",
    "That surprised the parrot so much that, for once, she said nothing at all.",
    "And in the quiet she heard him call across the trees: I am fine, thank you.",
    "I only needed a pause. The end.",
)

_SMALL = (  # noqa: SIM905 - twenty words are easiest to read on one line
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    " fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_VALUES = {word: value for value, word in enumerate(_SMALL)} | {
    word: 10 * value for value, word in enumerate(_TENS, start=2)
}

_NUMBER = rf"\d+|hundred|{'|'.join(_VALUES)}"


def reply_to(transcript: str, now: datetime) -> tuple[str, ...]:
    """Returns the sentences that answer `transcript`, in the order in which they are spoken.

    Args:
        transcript: English; case and punctuation do not matter, and numbers may be
            words or digits. Empty when nothing was understood.
        now: The local time, used when it asks for the time or the date.

    Returns:
        At least one sentence. Text that is not a request is repeated.

    Example:
        >>> reply_to("Count to three, please!", datetime(2026, 11, 22, 15, 42))
        ('1,', '2,', '3.')
    """
    words = normalise(transcript)
    if not words:
        return ("Sorry, I did not catch that.",)
    for pattern, answer in _INTENTS:
        if match := pattern.search(words):
            return answer(match, now)
    return (f"You said: {transcript.strip()}",)


def normalise(text: str) -> str:
    """Returns `text` in lower case, without punctuation, in single spaces, for the patterns."""
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text.lower().replace("\u2019", "'"))
    text = re.sub(r"\b(what|that|it)'s\b", r"\1 is", text)
    return " ".join(re.findall(r"[a-z0-9]+", text.replace("'", "")))


def is_interruption(transcript: str) -> bool:
    """True unless `transcript`, said over an answer, is empty or a sign of listening.

    Example:
        >>> is_interruption("Okay, right."), is_interruption("Stop.")
        (False, True)
    """
    return not BACKCHANNELS.issuperset(normalise(transcript).split())


def numbers_in(words: list[str]) -> list[int]:
    """Returns the whole numbers in `words`: digits, or English below one thousand."""
    numbers: list[int] = []
    growing = False  # True if the next word may still belong to the last number
    for word in words:
        value = int(word) if word.isdigit() else _VALUES.get(word)
        if word == "hundred":
            value = 100 * (numbers.pop() if growing and numbers[-1] < len(_SMALL) else 1)
            numbers.append(value)
        elif value is not None:
            if growing and _extends(numbers[-1], value):
                value += numbers.pop()
            numbers.append(value)
        elif word == "and" and growing and numbers[-1] % 100 == 0:
            continue
        growing = value is not None and not word.isdigit()
    return numbers


def _extends(number: int, value: int) -> bool:
    """True if `value` after `number` is one number: "twenty one", "two hundred thirty"."""
    after_hundreds = number > 0 and number % 100 == 0
    after_tens = number % 100 in range(20, 100, 10)
    return (after_hundreds and value in range(1, 100)) or (after_tens and value in range(1, 10))


def _count(match: re.Match[str], _: datetime) -> tuple[str, ...]:
    words = match[0].replace("countdown", "count down").split()
    numbers = numbers_in(words)
    last = numbers[-1]
    first = numbers[0] if "from" in words and len(numbers) > 1 else 1
    if len(numbers) == 1 and not {"down", "backward", "backwards"}.isdisjoint(words):
        first, last = last, 1
    return _count_from(first, last)


def _count_from(first: int, last: int) -> tuple[str, ...]:
    if max(first, last) > COUNT_LIMIT:
        return (f"That is too far for me. I count to {COUNT_LIMIT} at most.",)
    step = 1 if last >= first else -1
    return (*(f"{number}," for number in range(first, last, step)), f"{last}.")


def _time(_: re.Match[str], now: datetime) -> tuple[str, ...]:
    half = ("a.m.", "p.m.")[now.hour // 12]
    return (f"It is {(now.hour + 11) % 12 + 1}:{now.minute:02} {half}",)


def _date(_: re.Match[str], now: datetime) -> tuple[str, ...]:
    # Not strftime: the names of days and months must not follow the machine's language.
    day, month = _DAYS[now.weekday()], _MONTHS[now.month - 1]
    return (f"Today is {day}, {month} {now.day}, {now.year}.",)


_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (  # noqa: SIM905 - as above
    "January February March April May June July August September October November December"
).split()

_Answer = Callable[[re.Match[str], datetime], tuple[str, ...]]


def _say(*sentences: str) -> _Answer:
    return lambda _match, _now: sentences


_POLITE = r"(?:please|okay|ok|oh|no|now|hey|can you|could you|will you)"
_BEFORE = rf"^(?:{_POLITE} )*"
_AFTER = r"(?: (?:please|now|it|that|there|talking|again|for me|okay|ok|thanks|thank you))*$"
# A small recogniser takes "to" for "two", "a", "at", "of" or "the": all may precede the number.
_GLUE = rf"up|down|backwards?|from|to|too|till|until|a|an|at|of|the|it|and|{_NUMBER}"
_COUNT = rf"\b(?:count|counter|counting|countdown)(?: (?:{_GLUE}))* (?:{_NUMBER})\b"

# The order matters: "stop counting to twenty" is not a request to count.
_INTENTS: tuple[tuple[re.Pattern[str], _Answer], ...] = tuple(
    (re.compile(pattern), answer)
    for pattern, answer in (
        (rf"{_BEFORE}stop(?: stop)*(?: (?:counting|the story)\b.*$|{_AFTER})", _say("Okay.")),
        (rf"{_BEFORE}(?:that is enough|enough|be quiet|quiet|silence){_AFTER}", _say("Okay.")),
        (_COUNT, _count),
        (rf"{_BEFORE}(?:start )?count(?:ing)?{_AFTER}", lambda _match, _now: _count_from(1, 10)),
        (r"\bwhat time (?:is it|it is|do you have)\b|^what time$", _time),
        (r"\bwhat is the (?:current )?time\b|\b(?:have|know) the time\b", _time),
        (r"\b(?:tell|give|say)(?: me)? (?:the|what) time\b", _time),
        (rf"^(?:the )?time{_AFTER}", _time),
        (r"\b(?:what|which) (?:day|date|month|year) (?:is|it is|do we)\b", _date),
        (r"\b(?:what is|tell me|say) (?:the )?(?:current )?date\b", _date),
        (rf"\bwhat is today\b|\btodays date\b|^(?:the )?date{_AFTER}", _date),
        (r"\b(?:tell|read|hear|another|want|know)\b.*\b(?:story|stories|tale)\b", _say(*STORY)),
        (rf"^(?:a |the )?story{_AFTER}", _say(*STORY)),
        (r"^help\b|^what can (?:you do|i say|i ask)\b", _say(*GREETING[1:])),
        (r"^(?:hello|hi|hey|good (?:morning|afternoon|evening))(?: \w+)?$", _say(*GREETING)),
        (r"^thank(?:s| you)(?: \w+){0,3}$", _say("You are welcome.")),
        (r"^(?:good ?bye|bye|see you)(?: \w+){0,2}$", _say("Goodbye!")),
    )
)
