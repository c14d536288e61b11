// Paints with step.onnx and ONNX Runtime, without Python. Pictures are read and written as PPM (P6, 8 bits a channel).
//
//   g++ -std=c++17 -O2 paint.cpp -I INCLUDE -L LIB -l onnxruntime -o paint     (folders of ONNX Runtime)
//   ./paint step.onnx photo.ppm painting.ppm output.ppm [ITERATIONS] [STYLE_WEIGHT]

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> values;
};
using Tensors = std::map<std::string, Tensor>;

/// A picture as the step takes it: (1, 3, H, W), RGB in [0, 1].
Tensor read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string kind(2, '\0');
  file.read(kind.data(), 2);
  const auto number = [&file] {
    for (std::string comment; (file >> std::ws).peek() == '#';) std::getline(file, comment);
    int64_t value = 0;
    file >> value;
    return value;
  };
  const int64_t width = number(), height = number(), area = width * height;
  if (kind != "P6" || number() != 255) throw std::runtime_error(path + " is no PPM of the kind P6 with 8 bits a channel");
  std::string pixels(3 * area, '\0');
  if (!file.ignore(1).read(pixels.data(), pixels.size())) throw std::runtime_error("cannot read " + path);
  Tensor image{{1, 3, height, width}, std::vector<float>(3 * area)};
  for (int64_t i = 0; i < 3 * area; i++) {
    image.values[i] = static_cast<unsigned char>(pixels[3 * (i % area) + i / area]) / 255.0f;
  }
  return image;
}

void write(const std::string& path, const Tensor& image) {
  const int64_t area = image.shape[2] * image.shape[3];
  std::string pixels(3 * area, '\0');
  for (int64_t i = 0; i < 3 * area; i++) pixels[i] = std::lround(255 * image.values[(i % 3) * area + i / 3]);
  std::ofstream file(path, std::ios::binary);
  file << "P6\n" << image.shape[3] << " " << image.shape[2] << "\n255\n" << pixels << std::flush;
  if (!file) throw std::runtime_error("cannot write " + path);
}

class Step {
 public:
  Tensors nothing;  // all inputs, 0 everywhere; sizes that the step leaves open are 1

  explicit Step(const char* path) : session(environment, path, Ort::SessionOptions{}) {
    Ort::AllocatorWithDefaultOptions allocator;
    for (size_t i = 0; i < session.GetInputCount(); i++) {
      auto shape = session.GetInputTypeInfo(i).GetTensorTypeAndShapeInfo().GetShape();
      int64_t count = 1;
      for (auto& size : shape) count *= size = std::max<int64_t>(size, 1);
      nothing[session.GetInputNameAllocated(i, allocator).get()] = {shape, std::vector<float>(count)};
    }
  }

  std::vector<Tensor> run(Tensors& inputs, const std::vector<std::string>& outputs) {
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    std::vector<const char*> given, wanted;
    std::vector<Ort::Value> values;
    for (auto& [name, tensor] : inputs) {
      auto& [shape, numbers] = tensor;
      given.push_back(name.c_str());
      values.push_back(
          Ort::Value::CreateTensor<float>(memory, numbers.data(), numbers.size(), shape.data(), shape.size()));
    }
    for (auto& name : outputs) wanted.push_back(name.c_str());
    std::vector<Tensor> results;
    for (auto& found : session.Run({}, given.data(), values.data(), values.size(), wanted.data(), wanted.size())) {
      const auto info = found.GetTensorTypeAndShapeInfo();
      const float* data = found.GetTensorData<float>();
      results.push_back({info.GetShape(), {data, data + info.GetElementCount()}});
    }
    return results;
  }

  /// Sets the targets of some kinds: what the step says of a picture is what it compares with as its input.
  void aim(Tensors& inputs, const Tensor& picture, const std::vector<std::string>& kinds) {
    std::vector<std::string> names, outputs;
    for (auto& [name, tensor] : nothing) {
      const auto kind = name.substr(0, name.find('_')), layer = name.substr(name.find('_') + 1);
      if (layer == "weights" || std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) continue;
      names.push_back(name);
      outputs.push_back(kind == "content" ? layer : layer + "_" + kind);
    }
    Tensors all = nothing;
    all["image"] = picture;
    const auto found = run(all, outputs);
    for (size_t i = 0; i < names.size(); i++) inputs[names[i]] = found[i];
  }

 private:
  Ort::Env environment;
  Ort::Session session;
};

int main(int count, char** arguments) {
  if (count < 5) {
    std::cerr << "usage: paint step.onnx photo.ppm painting.ppm output.ppm [ITERATIONS] [STYLE_WEIGHT]\n";
    return 2;
  }
  const int iterations = count > 5 ? std::stoi(arguments[5]) : 200;
  const float weight = count > 6 ? std::stof(arguments[6]) : 10;
  Step step(arguments[1]);
  Tensors inputs = step.nothing;
  inputs["image"] = read(arguments[2]);
  step.aim(inputs, inputs["image"], {"content"});
  step.aim(inputs, read(arguments[3]), {"gram", "mean"});
  auto &contents = inputs["content_weights"].values, &styles = inputs["style_weights"].values;
  std::fill(contents.begin(), contents.end(), 1);
  std::fill(styles.begin(), styles.end(), weight / styles.size());

  // Adam (Kingma & Ba 2015) on the pixels, which stay within [0, 1].
  auto& image = inputs["image"].values;
  std::vector<double> mean(image.size()), square(image.size());
  const double rate = 0.02, beta = 0.9, gamma = 0.999;
  for (int t = 1;; t++) {
    const auto found = step.run(inputs, {"loss", "gradient"});
    std::cout << t << " " << found[0].values[0] << std::endl;
    if (t >= iterations) break;  // so that this is the loss of what is written
    for (size_t i = 0; i < image.size(); i++) {
      const double gradient = found[1].values[i];
      mean[i] += (1 - beta) * (gradient - mean[i]);
      square[i] += (1 - gamma) * (gradient * gradient - square[i]);
      const double change = mean[i] / (1 - std::pow(beta, t)) / (std::sqrt(square[i] / (1 - std::pow(gamma, t))) + 1e-8);
      image[i] = std::clamp(image[i] - rate * change, 0.0, 1.0);
    }
  }
  write(arguments[4], inputs["image"]);
}
