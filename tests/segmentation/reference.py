"""The published pipeline, slow and dense, written from its description to compare against.

It shares nothing with the package but the network: every class has a map of its own at full size,
windows are encoded one by one and twice, as the original does (reference 4.2).
"""

import math

import torch
import torch.nn.functional as F


def dense_logits(model, crop, texts, *, threshold, top=5):
    """Class maps of one crop "1 3 h w"; texts "class dim" L2-normalized, without background."""
    height, width = crop.shape[-2:]
    soft = model.encode_image(floor_to_patches(crop, model)).assignments
    affinity = soft[0][0].T
    for later in soft[1:]:
        affinity = affinity @ later[0].T  # pixel x group
    rows, columns = token_grid(height, width, affinity.shape[0])
    maps = affinity.T.reshape(1, -1, rows, columns)
    maps = F.interpolate(maps, size=(height, width), mode="bilinear", align_corners=False)
    hard = F.one_hot(maps[0].argmax(0), maps.shape[1]).float()  # h w group

    embedded = model.embed_image(floor_to_patches(crop, model))
    segments = embedded.segments[-1][0]
    scale = model.log_scale.exp().clamp(max=100)
    similarity = scale * segments @ texts.T
    everything = similarity.softmax(-1)
    image_level = (scale * embedded.image @ texts.T).softmax(-1)[0]
    keep = image_level.topk(min(top, len(texts))).indices
    masked = torch.full_like(similarity, float("-inf"))
    masked[:, keep] = similarity[:, keep]
    scores = masked.softmax(-1) * everything
    foreground = (hard @ scores).permute(2, 0, 1)
    if threshold is None:
        return foreground
    limit = min(threshold, scores.max().item())
    background = ((hard @ scores.max(-1).values[:, None])[..., 0] < limit).float()
    return torch.cat([background[None], foreground])


def floor_to_patches(crop, model):
    """What a strided convolution sees of a crop."""
    patch = model.config.image.patch_size
    height, width = crop.shape[-2:]
    return crop[..., : height // patch * patch, : width // patch * patch]


def token_grid(height, width, tokens):
    """Rows and columns of the tokens, found as the original finds them."""
    step = round(math.sqrt(height * width // tokens))
    if height > width:
        columns = width // step
        return tokens // columns, columns
    rows = height // step
    return rows, tokens // rows


def slide(model, image, texts, *, threshold, window, stride, size):
    """Class maps at (height, width) of a normalized image "1 3 h w", windows averaged."""
    height, width = image.shape[-2:]
    tall = max(height - window + stride - 1, 0) // stride + 1
    wide = max(width - window + stride - 1, 0) // stride + 1
    total, count = 0, torch.zeros(1, height, width)
    for i in range(tall):
        for j in range(wide):
            bottom, right = min(i * stride + window, height), min(j * stride + window, width)
            top, left = max(bottom - window, 0), max(right - window, 0)
            crop = image[:, :, top:bottom, left:right]
            logits = dense_logits(model, crop, texts, threshold=threshold)
            total = total + F.pad(logits, (left, width - right, top, height - bottom))
            count[:, top:bottom, left:right] += 1
    resized = F.interpolate((total / count)[None], size=size, mode="bilinear", align_corners=False)
    return resized[0].softmax(0)
