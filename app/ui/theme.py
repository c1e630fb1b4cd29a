"""Herald's look as Gradio sees it; everything of our own is in ``style.css``. No font or file comes from elsewhere."""

from __future__ import annotations

import gradio as gr
from gradio.themes.utils import colors, fonts, sizes

AZURE = colors.Color(
    name="azure", c50="#eff5fb", c100="#dbe8f5", c200="#bad2ea", c300="#8cb3da", c400="#588ec5", c500="#3571ad",
    c600="#255b92", c700="#1f4a78", c800="#1d3f63", c900="#1b3653", c950="#122338",
)  # fmt: skip
PARCHMENT = colors.Color(
    name="parchment", c50="#faf9f6", c100="#f3f1ec", c200="#e6e2d9", c300="#d2ccbf", c400="#a29c8e", c500="#767064",
    c600="#5a554b", c700="#413d36", c800="#282621", c900="#1c1b18", c950="#131210",
)  # fmt: skip


def theme() -> gr.themes.Base:
    """Azure on parchment, one sans-serif family served by this box."""
    return gr.themes.Base(
        primary_hue=AZURE,
        secondary_hue=AZURE,
        neutral_hue=PARCHMENT,
        text_size=sizes.text_md,
        radius_size=sizes.radius_md,
        # Of the weights in Gradio's package these hold the whole Latin range; its SemiBold lacks half of it.
        font=(fonts.LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif"),
        font_mono=("ui-monospace", "Consolas", "monospace"),
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_shadow="none",
        input_background_fill="white",
        input_background_fill_dark="*neutral_900",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        input_border_color_focus="*primary_500",
        input_border_color_focus_dark="*primary_400",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
    )
