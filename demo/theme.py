"""How Gradio's own page looks and behaves here, in light and dark."""

from pathlib import Path
from typing import Any

import gradio as gr

#: Fonts of the visitor's own system: the page loads none from elsewhere.
FONT = ["system-ui", "sans-serif"]


def _theme() -> gr.themes.Base:
    """Warm greys, one strong colour for what to press."""
    return gr.themes.Soft(
        primary_hue="orange", secondary_hue="stone", neutral_hue="stone", radius_size="md", font=FONT
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_label_background_fill="*neutral_50",
        block_label_background_fill_dark="*neutral_800",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_300",
        block_title_background_fill="transparent",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_300",
        link_text_color_dark="*primary_300",
        link_text_color_hover_dark="*primary_200",
        link_text_color_visited_dark="*primary_300",
        color_accent="*primary_700",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        button_primary_text_color="white",
        button_secondary_background_fill_hover_dark="*neutral_500",
        checkbox_border_color="*neutral_400",
        checkbox_label_background_fill_selected="*primary_700",
        checkbox_label_background_fill_selected_dark="*primary_700",
        checkbox_label_gap="6px",
        checkbox_label_padding="5px 9px",
    )


def _beside(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


#: Options of ``gr.Blocks.launch``: the theme, and what it has no word for.
LOOK: dict[str, Any] = {
    "theme": _theme(),
    "css": _beside("theme.css"),
    "head": f"<script type=module>{_beside('page.js')}</script>",
}
