// Pixels of images, and values of maps.
function context(width, height) {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [width, height];
  return canvas.getContext('2d', { willReadFrequently: true });
}

function decoded(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: 'image/png' }), { colorSpaceConversion: 'none' });
}

// Size and values of a map: a value is red + 256 green.
export async function readMap(base64) {
  const image = await decoded(base64);
  const { width, height } = image;
  const drawing = context(width, height);
  drawing.drawImage(image, 0, 0);
  const { data } = drawing.getImageData(0, 0, width, height);
  const values = Uint16Array.from({ length: width * height }, (_, at) => data[4 * at] + 256 * data[4 * at + 1]);
  return { width, height, values };
}

// RGBA of an image file in a size; transparent pixels are white, as for the model.
export async function readImage(blob, width, height) {
  const image = await createImageBitmap(blob);
  const drawing = context(width, height);
  drawing.fillStyle = 'white';
  drawing.fillRect(0, 0, width, height);
  drawing.imageSmoothingQuality = 'high';
  drawing.drawImage(image, 0, 0, width, height);
  return drawing.getImageData(0, 0, width, height).data;
}
