"""The theme: how Gradio's own components look here, in light and dark."""

import gradio as gr

#: Fonts of the visitor's own system: the page loads none from elsewhere.
FONT = ["system-ui", "sans-serif"]

#: Headings in a serif, as in a catalogue; strips of thumbnails; on a phone the result comes right after its button.
CSS = """
.gradio-container { max-width: 1360px !important; margin: 0 auto !important; }
.main.fillable { padding: 16px clamp(12px, 2.5vw, 32px) !important; }
h1 { font-family: Georgia, 'Times New Roman', serif; font-weight: 500; font-size: 2rem; letter-spacing: -.01em; }
.result img { width: 100%; height: 100%; object-fit: contain; }
.strip .grid-container { gap: 6px; grid-template-columns: repeat(auto-fill, minmax(72px, 1fr)) !important; }
#ways-gallery .thumbnail-item { aspect-ratio: 3 / 2; }
.strip .thumbnail-item, #parts .thumbnail-item { aspect-ratio: 4 / 3; }
.strip-title { margin-top: 4px; }
.block .head { display: grid; grid-template-columns: 1fr auto; }
.block .head > label { display: contents; }
.block .head .tab-like-container { grid-area: 1 / 2; }
.block .head .info-text { grid-area: 2 / 1 / auto / span 2; }
.tour .stepper-wrapper { padding-left: 32px; padding-right: 32px; }
#transfer-status p { color: var(--body-text-color-subdued); }
.dark { --color-accent: var(--primary-500); }
input:focus-visible, button:focus-visible { outline: 2px solid var(--color-accent) !important; outline-offset: 2px; }
@media (max-width: 700px) {
  .beside > .column { display: contents; }
  .beside > .column > * { order: 1; flex: 1 1 100%; }
  .beside > .column > .secondary { order: 2; }
  .beside > .column > .strips { order: 3; }
  .beside > .column > .examples { order: 4; }
  .result { height: 90vw !important; }
}
"""


def theme() -> gr.themes.Base:
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
        color_accent="*primary_700",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        button_primary_text_color="white",
        button_secondary_background_fill_hover_dark="*neutral_500",
        checkbox_border_color="*neutral_400",
        checkbox_label_gap="6px",
        checkbox_label_padding="5px 9px",
    )
